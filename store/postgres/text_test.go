package postgres

import (
	"errors"
	"testing"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// Anybody can ask for them, by the path of a request.
func TestNamesThatCannotBeKeptNameNothing(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{})
	ctx := t.Context()
	for _, name := range []string{"a\x00", "a\xff"} {
		for what, look := range map[string]func() error{
			"run":      func() error { _, err := s.Run(ctx, name); return err },
			"load":     func() error { _, err := s.Load(ctx, name, 0); return err },
			"hook":     func() error { _, err := s.Hook(ctx, name); return err },
			"receipt":  func() error { _, err := s.Receipt(ctx, name); return err },
			"response": func() error { _, err := s.Response(ctx, name); return err },
			"send":     func() error { return s.Send(ctx, store.Message{RunID: name, Kind: store.Woken}) },
		} {
			if err := look(); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
}
