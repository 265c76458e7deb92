# usage: zsh -f offer.zsh DIRECTORY LINE...
# What an interactive zsh offers at the Tab key behind each LINE, one a line below `= LINE`: each match passes compadd.
zmodload zsh/zpty
offers=$(mktemp)
zpty -b shell "PS1=; exec zsh -f -i"
zpty -w shell "OFFERS=$offers; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell 'compadd() { [[ " $* " == *\ -[a-zA-Z]#[OAD]\ * ]] || { local -a all; builtin compadd -A all "$@"; print -rl -- $all >>$OFFERS }; builtin compadd "$@" }'
zpty -w shell 'all-said() { print -r -- = >>$OFFERS }; zle -N all-said; bindkey "^I" complete-word; bindkey "^X" all-said'
for line in "${@:2}"; do
    print -rn -- >$offers
    zpty -wn shell "$line"$'\t\x18'
    until [[ $(<$offers) == *= ]]; do sleep 0.2; done
    print -r -- "= $line"
    print -r -- "$(<$offers)"
    zpty -wn shell $'\x15'
done
zpty -d shell
rm $offers
