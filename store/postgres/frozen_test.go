package postgres

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"slices"
	"testing"
)

// released are the schemas that are out there: the hash of the migration, and from the first
// that has one also of the functions of that number. The last entry may have empty hashes while
// its schema is not released: then both may change.
var released = []struct{ migration, functions string }{
	{"420d6e34b656fd0b645c888df562ba3fe48cab7063eaf2b1df476000da9b091d", ""},
	{"335ade19352c5828419d9e02e3617073941a9154c1ba632c8c65e3aa1f4d5ade", ""},
	{"", ""},
}

func TestReleasedSchemasAreFrozen(t *testing.T) {
	t.Parallel()
	steps := thisSteps(t)
	if len(steps) != len(released) {
		t.Fatalf("there are %d migrations, and %d are listed as released or, with empty hashes, as not: list the new one; none is ever taken away", len(steps), len(released))
	}
	for i, step := range steps {
		sum := hash(t, step)
		switch want := released[i].migration; {
		case want == "" && i == len(released)-1:
			t.Logf("%s is not released. To release it, pin it (%s), and add a schema that has it to engine/testdata/fixture (fixture_test.go)", step, sum)
		case sum != want:
			t.Errorf("%s has changed (it is %s): schemas that have been through it never see the change, so those of before and new ones "+
				"would differ, and only one of them be tested. Take the change back, and make it in a migration of its own at the end", step, sum)
		}
	}
	functions, err := fs.Glob(schemaFiles, "functions/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	last := released[len(released)-1]
	switch sum := hash(t, functions...); {
	case last.migration == "":
		t.Logf("the functions are not released. To release them, pin them: %s", sum)
	case sum != last.functions:
		t.Errorf("the functions of schema %d, or what they serve, have changed (they are %s): schemas that have that number keep the functions that they have, "+
			"so the change would not reach them. Give it a number of its own: a migration at the end, which may be empty", len(steps), sum)
	}
}

// hash is that of files, and of which binaries the schema serves where there are functions.
func hash(t *testing.T, paths ...string) string {
	t.Helper()
	h := sha256.New()
	slices.Sort(paths)
	for _, path := range paths {
		sql, err := schemaFiles.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(paths) > 1 {
			sql = fmt.Appendf(nil, "%s %d %d\n%s", path, len(sql), oldestServed, sql)
		}
		h.Write(sql)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
