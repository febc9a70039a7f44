package tenter_test

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestDocs compiles the programs in README and docs, and parses the fragments.
func TestDocs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay := map[string]string{} // path in the module → file that has the text
	temp := t.TempDir()
	for _, file := range append(files, "README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range goBlock.FindAllStringSubmatch(string(text), -1) {
			name := fmt.Sprintf("doc%s%d", regexp.MustCompile(`\W`).ReplaceAllString(file, ""), i)
			if strings.HasPrefix(block[1], "package ") {
				path := filepath.Join(temp, name+".go")
				if err := os.WriteFile(path, []byte(block[1]), 0o600); err != nil {
					t.Fatal(err)
				}
				overlay[filepath.Join(root, "internal", name, "main.go")] = path
				continue
			}
			if err := parseFragment(block[1]); err != nil {
				t.Errorf("%s: block %d: %v\n%s", file, i+1, err, block[1])
			}
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(temp, "overlay.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for program := range overlay {
		dir := "./" + filepath.ToSlash(strings.TrimPrefix(filepath.Dir(program), root+string(filepath.Separator)))
		cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", path, "-o", filepath.Join(temp, "out"), dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", dir, err, out)
		}
	}
}

// parseFragment accepts declarations, statements, or key-value pairs of a literal.
// An ellipsis stands for what is left out.
func parseFragment(code string) error {
	code = regexp.MustCompile(`\{ ?… ?\}|\{…\}`).ReplaceAllString(code, "{}")
	code = strings.ReplaceAll(code, "…", "")
	var first error
	for _, around := range []string{"package p\n%s", "package p\nfunc f() {\n%s\n}", "package p\nvar v = T{\n%s\n}"} {
		_, err := parser.ParseFile(token.NewFileSet(), "", fmt.Sprintf(around, code), parser.SkipObjectResolution)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}
