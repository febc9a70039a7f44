package pgtest

import "context"

// Private starts a server for a program that is not a test, as [Start] does, and returns the URL of
// its superuser, over the unix socket. Its folder is made in dir, which has a short path and, if we
// are root, is open to the other user that the server runs as. The server ends, and its folder
// goes, when stop is called or the process has died.
func Private(ctx context.Context, dir string, settings ...string) (url string, stop func() error, err error) {
	c, err := newCluster(ctx, dir, settings...)
	if err != nil {
		return "", nil, err
	}
	return c.socketURL(superuser), c.close, nil
}
