// Package client speaks the HTTP API of package server: with it a program starts, resumes
// and watches runs that live behind a URL, through the same typed handles as with an
// engine.
//
//	c, err := client.New("https://example.com", client.Options{APIKey: os.Getenv("TENTER_API_KEY")})
//	…
//	run, err := Approval.Start(ctx, c, "doc-7")
//	…
//	outcome, err := run.Result(ctx)
//
// A [Client] is a workflow.Client and an inspect.Client. Errors are the same as those of
// an engine, to errors.Is and errors.As too, errors of workflow.DefineError included; what
// else a server answers is an [*Error].
//
// When the connection or the server fails, the client retries calls that are safe to repeat: reads,
// a start (the client chooses the ID if the caller does not), and a resume with
// workflow.IdempotencyKey. It retries others if nothing can have reached the server. Waiting for a
// result, and watching, continue through restarts of the server until the context ends.
package client
