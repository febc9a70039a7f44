package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// build returns the path of the program.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "tentervet")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

var finding = regexp.MustCompile(`(?m)^.*?([^/\s]+\.go:\d+:\d+: .*)$`)

// findings executes a command and returns what it reports, in order. It must report something.
func findings(t *testing.T, name string, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = filepath.Join("analyzer", "testdata")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("%s %s has no findings, and should fail", name, args)
	}
	var found []string
	for _, m := range finding.FindAllStringSubmatch(string(out), -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		t.Fatalf("%s %s reports nothing:\n%s", name, args, out)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestDrivers checks that the program reports the same alone and below go vet, where facts of other
// packages come from files.
func TestDrivers(t *testing.T) {
	t.Parallel()
	program := build(t)
	alone := findings(t, program, "./...")
	vet := findings(t, "go", "vet", "-vettool="+program, "./...")
	if !slices.Equal(alone, vet) {
		t.Errorf("alone it reports\n%s\nbelow go vet\n%s", strings.Join(alone, "\n"), strings.Join(vet, "\n"))
	}
	if !slices.ContainsFunc(vet, func(s string) bool { return strings.Contains(s, "prices.Today reaches time.Now") }) {
		t.Error("below go vet it knows nothing of other packages")
	}
}

var program = regexp.MustCompile("(?s)```go\n((?://[^\n]*\n)*package .*?)```")

// TestDocs checks the programs in README and docs.
func TestDocs(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir, n := t.TempDir(), 0
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		for _, m := range program.FindAllStringSubmatch(read(t, page), -1) {
			write(t, filepath.Join(dir, fmt.Sprintf("program%d", n), "main.go"), m[1])
			n++
		}
	}
	if n == 0 {
		t.Fatal("there are no programs in the docs")
	}

	// They need what Tenter needs.
	mod := strings.Replace(read(t, filepath.Join(root, "go.mod")), "module github.com/tenter-dev/tenter\n", "module example.com/docs\n", 1)
	mod += "require github.com/tenter-dev/tenter v0.0.0\nreplace github.com/tenter-dev/tenter => " + root + "\n"
	write(t, filepath.Join(dir, "go.mod"), mod)
	write(t, filepath.Join(dir, "go.sum"), read(t, filepath.Join(root, "go.sum")))
	cmd := exec.CommandContext(t.Context(), "go", "vet", "-mod=mod", "-vettool="+build(t), "./...")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
