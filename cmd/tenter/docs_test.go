package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/cli.md")

// TestDocs checks that docs/cli.md has the help of each command as it is.
func TestDocs(t *testing.T) {
	t.Parallel()
	const file, mark = "../../docs/cli.md", "<!-- What follows is made from the help: go test ./cmd/tenter -run TestDocs -update -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	prose, commands, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no line %q", file, mark)
	}
	want := helpPages(t)
	if *update {
		if err := os.WriteFile(file, []byte(prose+mark+want), 0o644); err != nil { //nolint:gosec // it is to be read
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, commands); diff != "" {
		t.Errorf("%s is not what the help says; run the test with -update (-want +got):\n%s", file, diff)
	}
}

// helpPages is the help of all commands, as Markdown.
func helpPages(t *testing.T) string {
	t.Helper()
	var grammar cli
	parser, err := newParser(&grammar, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	visit(parser.Model.Node, func(n *kong.Node) {
		if len(n.Children) > 0 && n.Parent != nil {
			return // its commands say it all
		}
		help := helpOf(t, strings.Fields(path(n)))
		if n.Parent != nil {
			// The flags that all commands have are described once.
			help, _, _ = strings.Cut(help, "\nWhere the runs are\n")
		}
		b.WriteString("\n### " + strings.TrimSpace("tenter "+path(n)) + "\n\n```text\n" + strings.TrimSpace(help) + "\n```\n")
	})
	return b.String()
}

func helpOf(t *testing.T, command []string) string {
	t.Helper()
	var out bytes.Buffer
	a := &app{ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &out, env: func(string) (string, bool) { return "", false }}
	if code := a.main(append(command, "--help")); code != 0 {
		t.Fatalf("%q --help: exit code %d\n%s", command, code, &out)
	}
	return out.String()
}

// TestHelp looks at what every page has to have.
func TestHelp(t *testing.T) {
	t.Parallel()
	var grammar cli
	parser, err := newParser(&grammar, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	visit(parser.Model.Node, func(n *kong.Node) {
		if len(n.Children) == 0 && n.Name != "version" && n.Detail == "" {
			t.Errorf("tenter %s: it has no help of its own", path(n))
		}
		for _, f := range n.Flags {
			if !strings.HasSuffix(f.Help, ".") {
				t.Errorf("tenter %s: help of --%s %q is not a sentence", path(n), f.Name, f.Help)
			}
		}
		for line := range strings.Lines(helpOf(t, strings.Fields(path(n)))) {
			if columns(line) > 101 {
				t.Errorf("tenter %s: too wide: %s", path(n), line)
			}
		}
	})
}
