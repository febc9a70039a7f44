package main

const description = `Shows and steers the runs of a Tenter database or server.

Say where the runs are with --db or --server, or once and for all in the environment:

  export TENTER_DB=app.db

  tenter runs list --status blocked
  tenter runs show order-42
  tenter hooks resume approval:doc-7 '{"approved": true}'
  tenter top

"runs show" tells what a run waits for and which commands get it going. tenter
executes no workflows and is safe to use beside the programs that do.

Exit codes:

    0  done
    1  failed
    2  wrong usage
    3  there is no such run, hook or database
    4  refused: the run has ended, its ID or token is taken, the payload does not fit …
    5  the run that was watched failed or was canceled
    6  doctor found something to mend
  130  interrupted`

// cli is the grammar of the command line.
type cli struct {
	DB     string `name:"db" group:"Where the runs are" placeholder:"DB" help:"Database: a SQLite file (app.db, sqlite:app.db) or postgres://user@host/database. Default: $$TENTER_DB."`
	Schema string `group:"Where the runs are" placeholder:"NAME" help:"Schema in a PostgreSQL database. Default: $$TENTER_SCHEMA, or tenter."`

	Server     string `group:"Where the runs are" placeholder:"URL" help:"Server that has Tenter's HTTP API, such as https://example.com, instead of a database. Default: $$TENTER_SERVER."`
	APIKeyFile string `group:"Where the runs are" placeholder:"FILE" help:"File with the API key for the server. Default: the key in $$TENTER_API_KEY."`

	JSON  bool   `name:"json" group:"Output" help:"Print JSON for programs, one object a line."`
	Color string `group:"Output" enum:",auto,always,never" default:"" placeholder:"WHEN" help:"Color: auto (on a terminal, unless $$NO_COLOR is set), always, never."`

	Runs       runsCmd       `cmd:"" help:"List, show and control runs."`
	Hooks      hooksCmd      `cmd:"" help:"List, show and resume hooks."`
	Top        topCmd        `cmd:"" help:"Watch live activity."`
	Dashboard  dashboardCmd  `cmd:"" help:"Show runs in the browser, on this machine only."`
	Serve      serveCmd      `cmd:"" help:"Serve the HTTP API of a database, for --server and for programs."`
	Doctor     doctorCmd     `cmd:"" help:"Check a database, and say what to do about problems."`
	Export     exportCmd     `cmd:"" help:"Write complete runs as JSON lines, for a copy or a move."`
	Import     importCmd     `cmd:"" help:"Read runs that export has written; they continue here."`
	Completion completionCmd `cmd:"" help:"Print the completion script for a shell."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

type runsCmd struct {
	List      runsListCmd      `cmd:"" help:"List runs, newest first."`
	Show      runsShowCmd      `cmd:"" help:"Show a run: what it waits for, how to get it going, its timeline."`
	Journal   runsJournalCmd   `cmd:"" help:"Print the events of a run."`
	Watch     runsWatchCmd     `cmd:"" help:"Follow a run until it ends."`
	Start     runsStartCmd     `cmd:"" help:"Start a run."`
	Cancel    runsCancelCmd    `cmd:"" help:"Ask a run to cancel: its cleanup is executed."`
	Terminate runsTerminateCmd `cmd:"" help:"End a run now, without asking its code."`
	Wake      runsWakeCmd      `cmd:"" help:"End the sleeps of a run now."`
	Retry     runsRetryCmd     `cmd:"" help:"Continue a failed run, or let a blocked one try again."`
}

type hooksCmd struct {
	List   hooksListCmd   `cmd:"" help:"List open hooks, the oldest first."`
	Show   hooksShowCmd   `cmd:"" help:"Show a hook, and what it takes."`
	Resume hooksResumeCmd `cmd:"" help:"Send a payload to a hook."`
}
