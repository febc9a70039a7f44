//go:build !unix

package pgtest

import (
	"fmt"
	"os/exec"
)

// An account is the user that a server runs as.
type account struct{}

func unprivileged() (account, error) {
	return account{}, fmt.Errorf("%w, on a Unix", ErrNotInstalled)
}

func (account) own(string) error { return nil }

func (account) execute(*exec.Cmd, int) {}
