# usage: bash --norc offer.bash DIRECTORY LINE...
# What bash offers at the Tab key behind each LINE, one a line below `= LINE`: readline would fill in the same words.
for file in "$1"/*.bash; do . "$file"; done
for line in "${@:2}"; do
    read -ra COMP_WORDS <<<"$line"
    [[ $line == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    "_${COMP_WORDS[0]}"
    printf '%s\n' "= $line" "${COMPREPLY[@]}"
done
