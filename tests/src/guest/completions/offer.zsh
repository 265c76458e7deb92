# usage: zsh -f offer.zsh FOLDER LINE
# What an interactive zsh offers at the Tab key behind LINE, one a line: each match passes compadd.
zmodload zsh/zpty
offers=$(mktemp)
zpty -b shell "PS1=; exec zsh -f -i"
zpty -w shell "OFFERS=$offers; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell 'compadd() { [[ " $* " == *\ -[a-zA-Z]#[OAD]\ * ]] || { local -a all; builtin compadd -A all "$@"; print -rl -- $all >>$OFFERS }; builtin compadd "$@" }'
zpty -w shell 'all-said() { print -r -- = >>$OFFERS }; zle -N all-said; bindkey "^I" complete-word; bindkey "^X" all-said'
zpty -wn shell "$2"$'\t\x18'
for ((i = 0; i < 250; i++)); do
    [[ $(tail -n 1 $offers) == = ]] && break
    sleep 0.1
done
zpty -d shell
grep -vx = $offers
rm $offers
