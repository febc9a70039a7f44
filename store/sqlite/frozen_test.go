package sqlite

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

// released are the migrations that databases out there have been through.
var released = []string{
	"ab0c5034eaec4693ae73a70c164b7398be060a273a7c90a9374e82e25519bfbf",
	"7892d3121d87ca3b79604164c42cdd0d24cfe254ccdefd123deb4d096ee74ab4",
}

func TestReleasedMigrationsAreFrozen(t *testing.T) {
	t.Parallel()
	if len(migrations) != len(released) {
		t.Errorf("there are %d migrations, and %d are pinned: pin a new one when it is released, and add a database that has it "+
			"to engine/testdata/fixture (fixture_test.go); none is ever taken away", len(migrations), len(released))
	}
	for i, m := range migrations[:min(len(migrations), len(released))] {
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(m))); sum != released[i] {
			t.Errorf("migration %d has changed (it is %s): files that have been through it never see the change, so those of before and "+
				"new ones would differ, and only one of them be tested. Take the change back, and make it in a migration of its own at the end", i+1, sum)
		}
	}
}
