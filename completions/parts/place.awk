# The name of what goes at this place of a verb, from the usage line of its help: the last may go on.
/^Usage: / {
    for (at = 0; match($0, /(<[A-Z]+>|\[[A-Z]+\])(\.\.\.)?/); $0 = substr($0, RSTART + RLENGTH)) {
        word = substr($0, RSTART, RLENGTH)
        if (word == "[OPTIONS]") continue
        last = word
        if (at++ == place) break
    }
    if (at <= place && last !~ /\.$/) exit
    gsub(/[^A-Z]/, "", last)
    print last
}
