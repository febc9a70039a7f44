// Command typecheck checks the types of packages and of their tests, for the platform of
// GOOS and GOARCH.
//
//	GOOS=windows GOARCH=amd64 typecheck ./...
//
// For a platform other than its own, go vet and go build compile every dependency first,
// SQLite and the standard library included, which takes minutes. Typecheck reads them from
// source instead, without the bodies of their functions. It does not know cgo.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

func main() {
	if err := check(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "typecheck:", err)
		os.Exit(1)
	}
}

// listed is a package as go list describes it.
type listed struct {
	ImportPath string
	Name       string
	Dir        string
	GoFiles    []string
	ImportMap  map[string]string // from the path in the source to that of the package
	Module     *struct {
		Main      bool
		GoVersion string
	}
	Error *struct{ Err string }
}

func check(patterns []string) error {
	packages, arch, err := list(patterns)
	if err != nil {
		return err
	}
	checked := checker{
		fset:     token.NewFileSet(),
		sizes:    types.SizesFor("gc", arch),
		packages: map[string]*types.Package{"unsafe": types.Unsafe},
	}
	var errs []error
	seen := make(map[string]bool) // a package is checked with its tests, and without
	for _, p := range packages {  // each comes after what it imports
		for _, err := range checked.add(p) {
			if !seen[err.Error()] {
				seen[err.Error()] = true
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// list returns packages, their tests and all that these depend on, and the architecture.
func list(patterns []string) (packages []*listed, arch string, err error) {
	goarch, err := run("env", "GOARCH")
	if err != nil {
		return nil, "", err
	}
	out, err := run(append([]string{"list", "-e", "-test", "-deps", "-json=ImportPath,Name,Dir,GoFiles,ImportMap,Module,Error"}, patterns...)...)
	if err != nil {
		return nil, "", err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return packages, string(bytes.TrimSpace(goarch)), nil
		} else if err != nil {
			return nil, "", fmt.Errorf("go list: %w", err)
		}
		packages = append(packages, p)
	}
}

func run(args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", args[0], err)
	}
	return out, nil
}

// checker has the packages whose types are known.
type checker struct {
	fset     *token.FileSet
	sizes    types.Sizes
	packages map[string]*types.Package
}

// add checks a package whose imports were added before.
func (c *checker) add(p *listed) (errs []error) {
	ours := p.Module != nil && p.Module.Main
	switch {
	case p.ImportPath == "unsafe", strings.HasSuffix(p.ImportPath, ".test"): // the latter's main is generated
		return nil
	case p.Error != nil:
		return []error{fmt.Errorf("%s: %s", p.ImportPath, strings.TrimSpace(p.Error.Err))}
	}
	files, err := c.parse(p)
	if err != nil {
		return []error{err}
	}
	config := types.Config{
		Importer:         imports{c.packages, p.ImportMap},
		IgnoreFuncBodies: !ours,
		Sizes:            c.sizes,
		Error:            func(err error) { errs = append(errs, err) },
	}
	if p.Module != nil && p.Module.GoVersion != "" {
		config.GoVersion = "go" + p.Module.GoVersion
	}
	path, _, _ := strings.Cut(p.ImportPath, " ") // "path [path.test]" is built for a test
	c.packages[p.ImportPath], _ = config.Check(path, c.fset, files, nil)
	return errs
}

// parse parses the files of a package, all at once.
func (c *checker) parse(p *listed) ([]*ast.File, error) {
	files, errs := make([]*ast.File, len(p.GoFiles)), make([]error, len(p.GoFiles))
	var all sync.WaitGroup
	for i, name := range p.GoFiles {
		all.Go(func() {
			files[i], errs[i] = parser.ParseFile(c.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		})
	}
	all.Wait()
	return files, errors.Join(errs...)
}

// imports finds what one package imports.
type imports struct {
	packages map[string]*types.Package
	paths    map[string]string
}

func (i imports) Import(path string) (*types.Package, error) {
	if mapped, ok := i.paths[path]; ok {
		path = mapped
	}
	if p := i.packages[path]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("package %s is missing from the answer of go list", path)
}
