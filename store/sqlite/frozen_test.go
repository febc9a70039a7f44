package sqlite

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

// released are the migrations that databases out there have been through, and the oldest
// binaries that they serve with the last one. The last entry may be empty while its migration is
// not released: then it may change.
var released = []string{
	"ab0c5034eaec4693ae73a70c164b7398be060a273a7c90a9374e82e25519bfbf",
	"7892d3121d87ca3b79604164c42cdd0d24cfe254ccdefd123deb4d096ee74ab4",
	"",
}

// releasedOldest is oldestServed of the last migration that is released.
const releasedOldest = 1

func TestReleasedMigrationsAreFrozen(t *testing.T) {
	t.Parallel()
	if len(migrations) != len(released) {
		t.Fatalf("there are %d migrations, and %d are listed as released or, with an empty hash, as not: list the new one; none is ever taken away", len(migrations), len(released))
	}
	for i, m := range migrations {
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(m)))
		switch want := released[i]; {
		case want == "" && i == len(released)-1:
			t.Logf("migration %d is not released. To release it, pin it (%s), and add a database that has it to engine/testdata/fixture (fixture_test.go)", i+1, sum)
		case sum != want:
			t.Errorf("migration %d has changed (it is %s): files that have been through it never see the change, so those of before and "+
				"new ones would differ, and only one of them be tested. Take the change back, and make it in a migration of its own at the end", i+1, sum)
		}
	}
	if released[len(released)-1] != "" && oldestServed != releasedOldest {
		t.Errorf("files of schema %d would serve other binaries from now on (%d and higher): files that have it do not see the change. "+
			"Make it with a migration at the end, which may be empty", len(migrations), oldestServed)
	}
}
