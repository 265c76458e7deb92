# What the help says of the value of this option: all that it can be, or its name; nothing if there is none.
/^ +-/ { on = 0; for (i = 1; i <= NF && $i ~ /^-/; i++) on += ($i == option || $i == option ",") }
on { text = text " " $0 }
END {
    if (!match(text, /^ *(-[A-Za-z], )?--[a-z0-9-]+ <[^>]*>/)) exit
    value = substr(text, RSTART, RLENGTH); sub(/^[^<]*</, "", value); sub(/>$/, "", value)
    gsub(/ +/, " ", text)
    if (match(text, /\[possible values: [^]]*\]/)) {
        value = substr(text, RSTART + 18, RLENGTH - 19); gsub(/,/, "", value)
    }
    print value
}
