package postgres

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"testing"
)

// released are the steps that schemas out there have been through.
var released = []string{
	"420d6e34b656fd0b645c888df562ba3fe48cab7063eaf2b1df476000da9b091d",
	"335ade19352c5828419d9e02e3617073941a9154c1ba632c8c65e3aa1f4d5ade",
}

func TestReleasedMigrationsAreFrozen(t *testing.T) {
	t.Parallel()
	steps, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != len(released) {
		t.Errorf("there are %d migrations, and %d are pinned: pin a new one when it is released, and add a schema that has it "+
			"to engine/testdata/fixture (fixture_test.go); none is ever taken away", len(steps), len(released))
	}
	for i, step := range steps[:min(len(steps), len(released))] {
		sql, err := migrations.ReadFile(step)
		if err != nil {
			t.Fatal(err)
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(sql)); sum != released[i] {
			t.Errorf("%s has changed (it is %s): schemas that have been through it never see the change, so those of before and new ones "+
				"would differ, and only one of them be tested. Take the change back, and make it in a migration of its own at the end", step, sum)
		}
	}
}
