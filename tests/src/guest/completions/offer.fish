# usage: fish --no-config offer.fish FOLDER LINE
# What fish offers behind LINE, one a line, without the descriptions.
for file in $argv[1]/*.fish
    source $file
end
complete -C $argv[2] | string split -f1 \t
