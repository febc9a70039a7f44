package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A build is what a contender is raced with, or why it can't be.
type build struct {
	program string // path
	server  string // path, or empty
	version string
	err     error
}

// A release is a program that is downloaded.
type release struct {
	npm     string // package
	version string
	binary  string // where it is then, a pattern
}

// buildAll builds the programs of all contenders into a folder. Those of one peer share one.
func buildAll(ctx context.Context, cache string, chosen []contender) map[string]build {
	builds := map[string]build{}
	for _, c := range chosen {
		if _, done := builds[c.peer]; !done {
			fmt.Fprintf(os.Stderr, "building %s …\n", c.peer)
			builds[c.peer] = buildOne(ctx, cache, c)
		}
	}
	return builds
}

func buildOne(ctx context.Context, cache string, c contender) (b build) {
	b.program = filepath.Join(cache, "bin", c.peer)
	if err := run(ctx, filepath.Join("race", "peers", c.peer), "go", "build", "-o", b.program, "."); err != nil {
		return build{err: err}
	}
	if b.version, b.err = versionIn(b.program, c.module); b.err != nil || c.server == nil {
		return b
	}
	b.version = "server " + c.server.version + ", SDK " + b.version
	b.server, b.err = c.server.fetch(ctx, filepath.Join(cache, "npm"))
	return b
}

// fetch downloads a program unless it is here.
func (r *release) fetch(ctx context.Context, dir string) (string, error) {
	dir = filepath.Join(dir, r.version)
	if path, err := r.find(dir); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// Scripts of packages are none of our business: one reports the installation to others.
	err := run(ctx, dir, "npm", "install", "--prefix", ".", "--ignore-scripts", "--no-audit", "--no-fund", r.npm+"@"+r.version)
	if err != nil {
		return "", err
	}
	return r.find(dir)
}

func (r *release) find(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, r.binary))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("there is no %s for this platform in %s", r.binary, r.npm)
	}
	return filepath.Abs(found[0])
}

// versionIn returns the version of a module that a program was built with.
func versionIn(program, module string) (string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", err
	}
	for _, m := range info.Deps {
		if m.Path == module && m.Replace == nil {
			return m.Version, nil
		}
		if m.Path == module {
			return "this tree", nil
		}
	}
	return "", fmt.Errorf("%s is not in %s", module, program)
}

// run executes a command in a folder. The error has the last line that it wrote.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("there is no %s on the PATH", name)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, lastLine(out))
	}
	return nil
}

func lastLine(out []byte) string {
	out = bytes.TrimSpace(out)
	return string(out[bytes.LastIndexByte(out, '\n')+1:])
}
