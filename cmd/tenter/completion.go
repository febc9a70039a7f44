package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (c *completionCmd) Help() string {
	return `Prints a script that completes commands and flags. For good:

  bash   tenter completion bash > ~/.local/share/bash-completion/completions/tenter
  zsh    tenter completion zsh > "${fpath[1]}/_tenter"
  fish   tenter completion fish > ~/.config/fish/completions/tenter.fish`
}

func (c *completionCmd) Run(k *kong.Context, a *app) error {
	switch c.Shell {
	case "bash":
		return completeBash(a.stdout, k.Model.Node)
	case "zsh":
		return completeZsh(a.stdout, k.Model.Node)
	default:
		return completeFish(a.stdout, k.Model.Node)
	}
}

// flagsOf returns the flags that a command takes, those of its parents too.
func flagsOf(n *kong.Node) []*kong.Flag {
	var all []*kong.Flag
	for _, group := range n.AllFlags(true) {
		all = append(all, group...)
	}
	return all
}

// enumOf returns the values that a flag or argument can have, if they are few.
func enumOf(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return v.EnumSlice()
}

// visit calls f for a command and all below it.
func visit(n *kong.Node, f func(*kong.Node)) {
	f(n)
	for _, child := range n.Children {
		if !child.Hidden {
			visit(child, f)
		}
	}
}

// path is the words of a command, such as "runs list"; empty for the root.
func path(n *kong.Node) string {
	if n.Parent == nil {
		return ""
	}
	return strings.TrimSpace(path(n.Parent) + " " + n.Name)
}

// words are what may follow a command: commands, flags, values of its argument.
func words(n *kong.Node) (list []string) {
	for _, child := range n.Children {
		if !child.Hidden {
			list = append(list, child.Name)
		}
	}
	for _, arg := range n.Positional {
		list = append(list, enumOf(arg)...)
	}
	for _, f := range flagsOf(n) {
		list = append(list, "--"+f.Name)
	}
	return list
}

// completeBash finds the command by the words typed so far, and offers what may follow.
func completeBash(w io.Writer, root *kong.Node) error {
	var cases, values strings.Builder
	seen := map[string]bool{}
	takesFile, takesValue := []string{}, []string{}
	visit(root, func(n *kong.Node) {
		fmt.Fprintf(&cases, "    %q) words=%q ;;\n", path(n), strings.Join(words(n), " "))
		for _, f := range flagsOf(n) {
			if seen[f.Name] || f.IsBool() {
				continue
			}
			seen[f.Name] = true
			switch {
			case len(enumOf(f.Value)) > 0:
				fmt.Fprintf(&values, "    --%s) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", f.Name, strings.TrimSpace(strings.Join(enumOf(f.Value), " ")))
			case isFile(f):
				takesFile = append(takesFile, "--"+f.Name)
			}
			takesValue = append(takesValue, "--"+f.Name)
		}
	})
	_, err := fmt.Fprintf(w, `# bash completion for tenter
_tenter() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command="" words="" word skip=""
  case $prev in
%s    %s) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    %s) return ;;
  esac
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ -n $skip ]]; then skip=""; continue; fi
    case $word in
    %s) skip=1 ;;
    -*) ;;
    *) case "${command:+$command }$word" in
       %s) command="${command:+$command }$word" ;;
       esac ;;
    esac
  done
  case $command in
%s  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _tenter tenter
`, values.String(), strings.Join(takesFile, "|"), strings.Join(takesValue, "|"), strings.Join(takesValue, "|"), commandPatterns(root), cases.String())
	return err
}

func isFile(f *kong.Flag) bool {
	return f.PlaceHolder == "FILE" || f.Name == "db"
}

func commandPatterns(root *kong.Node) string {
	var all []string
	visit(root, func(n *kong.Node) {
		if n.Parent != nil {
			all = append(all, fmt.Sprintf("%q", path(n)))
		}
	})
	return strings.Join(all, "|")
}

// completeZsh is a function for each command, which says what it takes.
func completeZsh(w io.Writer, root *kong.Node) error {
	var b strings.Builder
	b.WriteString("#compdef tenter\n# zsh completion for tenter\n")
	visit(root, func(n *kong.Node) {
		fmt.Fprintf(&b, "\n%s() {\n  local context state line\n  _arguments -C", zshName(n))
		for _, f := range flagsOf(n) {
			fmt.Fprintf(&b, " \\\n    %s", zshFlag(f))
		}
		if len(n.Children) == 0 {
			for _, arg := range n.Positional {
				action := "_default"
				if values := enumOf(arg); len(values) > 0 {
					action = "(" + strings.Join(values, " ") + ")"
				}
				fmt.Fprintf(&b, " \\\n    %s", zshQuote("*:"+zshText(arg.Name)+":"+action))
			}
			b.WriteString("\n}\n")
			return
		}
		b.WriteString(" \\\n    '1:command:->command' '*::argument:->argument'\n  case $state in\n  command)\n    local -a commands=(")
		for _, child := range n.Children {
			if !child.Hidden {
				fmt.Fprintf(&b, "\n      %s", zshQuote(child.Name+":"+child.Help))
			}
		}
		b.WriteString(")\n    _describe command commands ;;\n  argument)\n    case $line[1] in\n")
		for _, child := range n.Children {
			if !child.Hidden {
				fmt.Fprintf(&b, "    %s) %s ;;\n", child.Name, zshName(child))
			}
		}
		b.WriteString("    esac ;;\n  esac\n}\n")
	})
	b.WriteString("\nif [ \"$funcstack[1]\" = _tenter ]; then _tenter \"$@\"; else compdef _tenter tenter; fi\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func zshName(n *kong.Node) string {
	return strings.ReplaceAll(strings.TrimSpace("_tenter "+path(n)), " ", "_")
}

func zshFlag(f *kong.Flag) string {
	s := fmt.Sprintf("--%s[%s]", f.Name, zshText(f.Help))
	switch {
	case f.IsBool():
	case len(enumOf(f.Value)) > 0:
		s += ":" + zshText(f.Name) + ":(" + strings.TrimSpace(strings.Join(enumOf(f.Value), " ")) + ")"
	case isFile(f):
		s += ":" + zshText(f.Name) + ":_files"
	default:
		s += ":" + zshText(f.Name) + ": "
	}
	return zshQuote(s)
}

// zshText escapes what means something in a specification.
func zshText(s string) string {
	return strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`).Replace(s)
}

func zshQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// completeFish is a line for each command and flag, with the commands that come before.
func completeFish(w io.Writer, root *kong.Node) error {
	var b strings.Builder
	b.WriteString("# fish completion for tenter\ncomplete -c tenter -f\n")
	visit(root, func(n *kong.Node) {
		when := fishCondition(n)
		for _, child := range n.Children {
			if !child.Hidden {
				fmt.Fprintf(&b, "complete -c tenter -n %s -a %s -d %s\n", fishQuote(when), child.Name, fishQuote(child.Help))
			}
		}
		flags := n.Flags
		if n.Parent == nil {
			when = "true" // flags of the root fit everywhere
		}
		for _, f := range flags {
			fmt.Fprintf(&b, "complete -c tenter -n %s -l %s -d %s", fishQuote(when), f.Name, fishQuote(f.Help))
			if f.Short != 0 {
				fmt.Fprintf(&b, " -s %c", f.Short)
			}
			switch {
			case f.IsBool():
			case len(enumOf(f.Value)) > 0:
				fmt.Fprintf(&b, " -x -a %s", fishQuote(strings.TrimSpace(strings.Join(enumOf(f.Value), " "))))
			case isFile(f):
				b.WriteString(" -r -F")
			default:
				b.WriteString(" -x")
			}
			b.WriteString("\n")
		}
		for _, arg := range n.Positional {
			if values := enumOf(arg); len(values) > 0 {
				fmt.Fprintf(&b, "complete -c tenter -n %s -a %s\n", fishQuote(when), fishQuote(strings.Join(values, " ")))
			}
		}
	})
	_, err := io.WriteString(w, b.String())
	return err
}

// fishCondition holds once the words of a command stand, and none of those below it.
func fishCondition(n *kong.Node) string {
	var conds []string
	for p := n; p.Parent != nil; p = p.Parent {
		conds = append([]string{"__fish_seen_subcommand_from " + p.Name}, conds...)
	}
	var below []string
	for _, child := range n.Children {
		below = append(below, child.Name)
	}
	if len(below) > 0 {
		conds = append(conds, "not __fish_seen_subcommand_from "+strings.Join(below, " "))
	}
	return strings.Join(conds, "; and ")
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
