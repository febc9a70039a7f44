// Command tenter shows and steers the runs of a Tenter database or server.
//
//	go install github.com/tenter-dev/tenter/cmd/tenter@latest
//	tenter --db app.db runs list
//	tenter --db app.db runs show order-42     what it waits for, and how to get it going
//	tenter --db app.db hooks resume approval:doc-7 '{"approved": true}'
//
// It executes no workflows: it is a client, and safe to use beside the programs that
// do. Its help is its manual; docs/cli.md has the same in one page.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	a := &app{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.LookupEnv}
	code := a.main(os.Args[1:])
	stop()
	os.Exit(code)
}

// Exit codes. They are documented in the help.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitRefused     = 4
	exitRunFailed   = 5
	exitFindings    = 6
	exitInterrupted = 130
)

// app is one call of the command.
type app struct {
	ctx    context.Context //nolint:containedctx // lives as long as the process
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	env    func(name string) (value string, ok bool)

	cli    cli
	out    *screen
	closer func() error // of the client, if it was opened
	hint   string       // what a command that fails says beside its error
}

// exit is how kong ends the program, for --help.
type exit int

func (a *app) main(args []string) (code int) {
	defer func() {
		if v := recover(); v != nil {
			e, ok := v.(exit)
			if !ok {
				panic(v)
			}
			code = int(e)
		}
	}()
	parser, err := newParser(&a.cli, a.stdout, a.stderr)
	if err != nil {
		panic(err) // the grammar is wrong, which a test sees
	}
	a.out = newScreen(a.stdout, "", a.env)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err == nil {
		err = checkFlags(k)
	}
	if err == nil {
		a.out = newScreen(a.stdout, a.cli.Color, a.env)
		err = k.Run(a)
	}
	if a.closer != nil {
		err = errors.Join(err, a.closer())
	}
	return a.report(err)
}

func newParser(grammar *cli, stdout, stderr io.Writer) (*kong.Kong, error) {
	return kong.New(grammar,
		kong.Name("tenter"),
		kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Vars{"version": version(), "senders": senderNames(","), "sender_list": senderNames(", ")},
	)
}

// checkFlags refuses flags of commands that are given and empty, most likely by a variable
// that is: they would count as not given, and a list be one of all runs, or a start not safe
// to repeat. Those that all commands have say where the runs are; an empty one drops what the
// environment says.
func checkFlags(k *kong.Context) error {
	for _, p := range k.Path {
		f := p.Flag
		if f != nil && !slices.Contains(k.Model.Flags, f) && f.Target.Kind() == reflect.String && f.Target.IsZero() {
			return usage("--%s: it is empty: leave it out, or give it a value", f.Name)
		}
	}
	return nil
}

// usageError is a call that can't be meant.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errRunFailed says that the run that was waited for has not completed. It was shown.
var errRunFailed = errors.New("the run has not completed")

// errRefused says that things are not such that it could be done.
var errRefused = errors.New("refused")

// errFindings says that doctor found something. It was shown.
var errFindings = errors.New("there is something to fix")

// report tells people about an error and returns the exit code.
func (a *app) report(err error) int {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return 0
	}
	code := exitCode(err)
	switch code {
	case exitRunFailed, exitFindings:
		return code
	case exitInterrupted:
		if a.ctx.Err() != nil {
			return code
		}
	}
	_, _ = fmt.Fprintln(a.stderr, "tenter:", clean(errorText(err)))
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		words := append([]string{"Try: tenter"}, strings.Fields(parse.Context.Command())...)
		_, _ = fmt.Fprintln(a.stderr, strings.Join(append(words, "--help"), " "))
	}
	if hint := a.hintFor(err); hint != "" {
		_, _ = fmt.Fprintln(a.stderr, clean(hint))
	}
	return code
}

// errorText is the text of an error. An option that may be left out has an empty value
// among those that kong lists.
func errorText(err error) string {
	return strings.Replace(err.Error(), `must be one of "",`, "must be one of ", 1)
}

func exitCode(err error) int {
	_, isParse := errors.AsType[*kong.ParseError](err)
	_, isUsage := errors.AsType[usageError](err)
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	_, unanswered := errors.AsType[*workflow.UnansweredError](err)
	_, declined := errors.AsType[*workflow.RefusedError](err)
	_, refused := errors.AsType[*workflow.RetryRefusedError](err)
	_, unforkable := errors.AsType[*workflow.ForkRefusedError](err)
	_, conflict := errors.AsType[*workflow.HookConflictError](err)
	_, payload := errors.AsType[*workflow.PayloadError](err)
	_, input := errors.AsType[*workflow.InputError](err)
	_, hookType := errors.AsType[*workflow.HookTypeError](err)
	switch {
	case declined:
		return exitRefused
	case unanswered && !is(context.Canceled):
		return exitFailed
	case isParse, isUsage, is(workflow.ErrInvalidName, workflow.ErrInvalidToken, inspect.ErrInvalidCursor):
		return exitUsage
	case is(errRunFailed):
		return exitRunFailed
	case is(errFindings):
		return exitFindings
	case is(workflow.ErrRunNotFound, workflow.ErrHookNotFound, workflow.ErrLinkNotFound, inspect.ErrRefusedNotFound, sqlite.ErrMissing, postgres.ErrMissing):
		return exitNotFound
	case refused, unforkable, conflict, payload, input, hookType,
		is(workflow.ErrRunEnded, workflow.ErrRunExists, workflow.ErrUnknownWorkflow, workflow.ErrPayloadTooLarge, inspect.ErrNotVerified, errDeclined, errRefused):
		return exitRefused
	case is(context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}

// hintFor says what to do about an error, where the error does not say so.
func (a *app) hintFor(err error) string {
	t, _ := a.target() // which was found before
	refused, isAnswer := errors.AsType[*client.Error](err)
	switch {
	case a.hint != "":
		return a.hint
	case isAnswer && refused.Status == http.StatusUnauthorized:
		return "The key of the server goes into TENTER_API_KEY, or into a file that --api-key-file names."
	case errors.Is(err, workflow.ErrHookNotFound):
		return "The hook is closed, its run has ended, or the token is another one. Open hooks: " + t.command("hooks", "list")
	case errors.Is(err, workflow.ErrLinkNotFound):
		return "The links of a run: " + t.command("links", "list", "--run", "RUN")
	case errors.Is(err, inspect.ErrRefusedNotFound):
		return "Those that are kept: " + t.command("webhooks", "refused")
	case errors.Is(err, workflow.ErrRunEnded):
		return "Nothing was changed. How it ended: " + t.command("runs", "show", "RUN")
	}
	return ""
}
