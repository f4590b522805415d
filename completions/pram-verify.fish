# Completion of pram-verify for fish. The table is the program's own: `pram-verify complete fish` prints it between these
# lines. Its rows are those that completions/pram-verify.bash tells of.
set -g __pram_verify_table
#TABLE#

# What an argument or an operand may be: A|B|FILE, behind a text that is given before each.
function __pram_verify_values -a before value kinds
    for word in (string split '|' -- $kinds)
        # From fish 4 on files are completed behind any `=`, a key's too.
        if string match -qr '^(DIR|FILE|PATH|DEVICE|KERNEL|INITRD|IMAGE|OUT)$' -- $word
            and string match -qr '^PART(UUID|LABEL)=' -- $value
            continue
        end
        switch $word
            case DIR
                for name in (__fish_complete_directories $value '')
                    echo $before$name
                end
            case FILE PATH DEVICE KERNEL INITRD IMAGE OUT
                for name in (__fish_complete_path $value)
                    echo $before$name
                end
            case PARTUUID=ID PARTLABEL=NAME
                set -l key (string split -m 1 = -- $word)[1]
                if not string match -q -- "$key=*" $value
                    echo $before$key=
                    continue
                end
                for name in /dev/disk/by-(string lower $key)/*
                    # udev writes blanks and the like as \x20.
                    printf '%s%s=%b\n' $before $key (string replace -r '.*/' '' -- $name)
                end
            case '*'
                string match -qr '[A-Z]' -- $word; or echo $before$word
        end
    end
end

function __pram_verify_complete
    set -l tokens (commandline -opc)
    set -l typed (commandline -ct)
    set -l command
    set -l expected
    set -l known
    set -l group
    set -l number 1
    for word in $tokens[2..-1]
        if set -q expected[1]
            set expected
        else if string match -qr -- '^-.' $word
            for row in $__pram_verify_table
                set -l fields (string split \t -- $row)
                if test $fields[1] = o -a $fields[3] != -
                    if test "$word" = "--$fields[2]" -o "$word" = "-$fields[4]"
                        set expected $fields[3]
                    end
                end
            end
        else if not set -q known[1]
            set command (string join ' ' -- $command $word)
            set group
            for row in $__pram_verify_table
                set -l fields (string split \t -- $row)
                if test "$fields[2]" = "$command"
                    test $fields[1] = c; and set known $command
                    test $fields[1] = g; and set group $command
                end
            end
            set -q known[1]; or set -q group[1]; or return
        else
            set number (math $number + 1)
        end
    end
    if set -q expected[1]
        __pram_verify_values '' "$typed" $expected
        return
    end
    set -l operands
    set -l names
    for row in $__pram_verify_table
        set -l fields (string split \t -- $row)
        if test $fields[1] = o -a $fields[3] != -; and string match -q -- "--$fields[2]=*" $typed
            __pram_verify_values "--$fields[2]=" (string split -m 1 = -- $typed)[2] $fields[3]
            return
        end
        if test $fields[1] = c; and test "$fields[2]" = "$known" -o -z "$known" -a "$fields[2]" = check
            set operands (string split ' ' -- $fields[3])
            set names (string split ' ' -- $fields[4])
        end
        if test $fields[1] != o; and not set -q known[1]; and not string match -q -- '-*' $typed
            if set -q group[1]
                string match -q -- "$group *" $fields[2]; and printf '%s\t%s\n' (string split -m 1 ' ' -- $fields[2])[2] $fields[5]
            else if not string match -q '* *' -- $fields[2]
                printf '%s\t%s\n' $fields[2] $fields[5]
            end
        end
    end
    if string match -q -- '-*' $typed
        for row in $__pram_verify_table
            set -l fields (string split \t -- $row)
            if test $fields[1] = o; and contains -- $fields[2] $names
                if test $fields[3] = -
                    printf '%s\t%s\n' --$fields[2] $fields[5]
                else
                    printf '%s\t%s\n' --$fields[2]= $fields[5]
                end
            end
        end
    else if set -q known[1]; and test "$operands[1]" != -
        if test $number -gt (count $operands)
            string match -q -- '*...*' $operands[-1]; or return
            set number (count $operands)
        end
        __pram_verify_values '' "$typed" (string replace -ra '[][.]' '' -- $operands[$number])
    end
end
complete -c pram-verify -f -a '(__pram_verify_complete)'
