package postgres

import (
	"fmt"
	"testing"

	"github.com/tenter-dev/tenter/internal/pgtest"
)

// A worker that shuts down releases its runs and closes the store at once.
func TestOthersAreToldTheLastToo(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	heard := signals(t, listening(t, url))
	for i := range 5 {
		s := listening(t, url)
		id := fmt.Sprint("r", i)
		if err := s.Start(t.Context(), newRun(id)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, heard, mailOf(id))
	}
}
