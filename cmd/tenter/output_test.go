package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
)

// TestOutputFile: a file has its name when it is whole, and not before; a failure leaves
// nothing, and an older file is never overwritten.
func TestOutputFile(t *testing.T) {
	t.Parallel()
	failed := errors.New("it failed")
	for _, tt := range []struct {
		name  string
		fails error
		late  bool // another file of that name comes up meanwhile
		want  string
		err   error
	}{
		{"whole", nil, false, "half", nil},
		{"failed", failed, false, "", failed},
		{"overtaken", nil, true, "other", fs.ErrExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			name := filepath.Join(dir, "runs.jsonl")
			f, err := createOutput(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(f, "half"); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("half of it has the name: %v", err)
			}
			if tt.late {
				if err := os.WriteFile(name, []byte("other"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.finish(tt.fails); !errors.Is(err, tt.err) {
				t.Errorf("the error is %v, want %v", err, tt.err)
			}
			if got, _ := os.ReadFile(name); string(got) != tt.want { // there may be none
				t.Errorf("the file has %q, want %q", got, tt.want)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*.partial")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
			if _, err := createOutput(name); tt.want != "" && !errors.Is(err, fs.ErrExist) {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// TestExportRedirected: the shell makes the file to which an export is redirected before the
// export can refuse. So that is said, and import says it of such a file.
func TestExportRedirected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := filepath.Join(dir, "app.db")
	st, err := sqlite.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if err := st.Renew(t.Context(), store.Lease{Worker: "w", For: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "runs.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	code, said := invoke(t.Context(), f, "--db", db, "export")
	if code != exitRefused || !strings.Contains(said, "is live") || !strings.Contains(said, "the file to which the output is redirected was made by the shell, and is empty. -o FILE") {
		t.Errorf("exit code %d: %s", code, said)
	}
	var piped bytes.Buffer
	if _, said := invoke(t.Context(), &piped, "--db", db, "export"); strings.Contains(said, "shell") || piped.Len() > 0 {
		t.Errorf("to a pipe: %s%s", piped.String(), said)
	}
	other := filepath.Join(dir, "new.db")
	for name, says := range map[string]string{f.Name(): "the export is empty", filepath.Join(dir, "none.jsonl"): "no such file"} {
		if code, said := invoke(t.Context(), &piped, "--db", other, "import", name); code == 0 || !strings.Contains(said, says) {
			t.Errorf("exit code %d: %s", code, said)
		}
		if _, err := os.Stat(other); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an import of nothing has made a database: %v", err)
		}
	}
	if code, said := invoke(t.Context(), f, "--db", db, "export", "--live"); code != 0 || said != "" {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// invoke calls the command, and returns its exit code and what it said on standard error.
func invoke(ctx context.Context, stdout io.Writer, args ...string) (code int, said string) {
	var stderr bytes.Buffer
	a := &app{ctx: ctx, stdin: strings.NewReader(""), stdout: stdout, stderr: &stderr, env: func(string) (string, bool) { return "", false }}
	code = a.main(args)
	return code, stderr.String()
}
