# Each option of the help in a line: its forms, the name of its value in angle brackets, what it does.
/^Options:/ { on = 1; next }
on && /^$/ { exit }
on { if (/^ +-/ && text) print text; if (/^ +-/) text = ""; gsub(/^ +/, " "); text = text $0 }
END { print text }
