// Package client speaks the HTTP API of package server: with it a program starts, resumes
// and watches runs that live behind a URL, through the same typed handles as with an
// engine.
//
//	c, err := client.New("https://example.com", client.Options{Token: os.Getenv("TENTER_TOKEN")})
//	…
//	run, err := Approval.Start(ctx, c, "doc-7")
//	…
//	outcome, err := run.Result(ctx)
//
// A [Client] is a workflow.Client and an inspect.Client. Errors are the same as those of
// an engine, to errors.Is and errors.As too, errors of workflow.DefineError included; what
// else a server answers is an [*Error].
//
// Calls that are safe to repeat are, when the connection or the server fails: those that
// only look, a start (the client chooses the ID if nobody else does), and a resume with
// workflow.IdempotencyKey. Others are if nothing can have reached the server. Who waits
// for a result, or watches, goes on through restarts of the server until its context ends.
package client
