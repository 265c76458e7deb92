# usage: bash --norc offer.bash FOLDER LINE
# What bash offers at the Tab key behind LINE, one a line: readline would fill in the same words.
for file in "$1"/*.bash; do . "$file"; done
read -ra COMP_WORDS <<<"$2"
[[ $2 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
"_${COMP_WORDS[0]}"
printf '%s\n' "${COMPREPLY[@]}"
