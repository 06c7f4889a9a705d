# fish completion of mta-stsd(8). The program itself says what there is: mta-stsd help completion.
complete -c mta-stsd -f
command -q mta-stsd; and mta-stsd help completion 2>/dev/null | while read -l name option values
    set -l seen "__fish_seen_subcommand_from $name"
    set -l words (string replace -r '@(file|dir|word)' '' -- $values | string trim)
    set -l given
    test -n "$values"; and set given -x
    switch "$option $values"
        case '. *'
            complete -c mta-stsd -n __fish_use_subcommand -a $name -d $values
            continue
        case '*@file*'
            set given -r -F
        case '*@dir*'
            set words '(__fish_complete_directories)'
    end
    test -z "$words"; or set given $given -a $words
    switch $option
        case -
            complete -c mta-stsd -n $seen (string match -v -- -x $given)
        case '*'
            test $option != --config; or set given $given -s c
            complete -c mta-stsd -n $seen -l (string sub -s 3 -- $option) $given
    end
end
