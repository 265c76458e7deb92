# usage: fish --no-config offer.fish DIRECTORY LINE...
# What fish offers behind each LINE, one a line below `= LINE`, without the descriptions.
for file in $argv[1]/*.fish
    source $file
end
for line in $argv[2..-1]
    echo "= $line"
    complete -C $line | string split -f1 \t
end
