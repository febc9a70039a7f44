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
    3  there is no such run, hook, link, refused request or database
    4  refused: the run has ended, its ID or token is taken, the payload does not fit …
    5  the run that was watched failed or was canceled
    6  doctor found something to fix
  130  interrupted`

// cli is the grammar of the command line.
type cli struct {
	DB     string `name:"db" group:"Where the runs are" placeholder:"DB" help:"Database: a SQLite file (app.db, sqlite:app.db) or postgres://user@host/database. Default: $$TENTER_DB."`
	Schema string `group:"Where the runs are" placeholder:"NAME" help:"Schema in a PostgreSQL database. Default: $$TENTER_SCHEMA, or tenter."`

	Server     string `group:"Where the runs are" placeholder:"URL" help:"Server that has Tenter's HTTP API, such as https://example.com, instead of a database. Default: $$TENTER_SERVER."`
	APIKeyFile string `group:"Where the runs are" placeholder:"FILE" help:"File with the API key for the server. Default: the key in $$TENTER_API_KEY."`

	By string `name:"by" group:"Actor" placeholder:"NAME" help:"A name for the journal, with what is started, sent or ordered. Default: the user of this machine; on a server, what that calls the API key, which has to allow another name."`

	JSON  bool   `name:"json" group:"Output" help:"Print JSON for programs, one object a line."`
	Color string `group:"Output" enum:",auto,always,never" default:"" placeholder:"WHEN" help:"Color: auto (on a terminal, unless $$NO_COLOR is set), always, never."`

	Runs       runsCmd       `cmd:"" help:"List, show and control runs."`
	Hooks      hooksCmd      `cmd:"" help:"List, show, resume and call hooks."`
	Links      linksCmd      `cmd:"" help:"List links to answer pages, and take them back."`
	Webhooks   webhooksCmd   `cmd:"" help:"Redeliver refused requests; send requests as the senders do, for tests."`
	Topics     topicsCmd     `cmd:"" help:"List topics, and publish to them."`
	Workflows  workflowsCmd  `cmd:"" help:"Pause and resume all runs of a workflow."`
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
	Failures  runsFailuresCmd  `cmd:"" help:"Group failed runs by their causes."`
	Journal   runsJournalCmd   `cmd:"" help:"Print the events of a run."`
	Watch     runsWatchCmd     `cmd:"" help:"Follow a run until it ends."`
	Start     runsStartCmd     `cmd:"" help:"Start a run."`
	Cancel    runsCancelCmd    `cmd:"" help:"Ask a run to cancel: its cleanup is executed."`
	Terminate runsTerminateCmd `cmd:"" help:"End a run now, without asking its code."`
	Wake      runsWakeCmd      `cmd:"" help:"End the sleeps of a run now."`
	Retry     runsRetryCmd     `cmd:"" help:"Continue a failed or blocked run, or attempt waiting steps now."`
	Fork      runsForkCmd      `cmd:"" help:"Make a new run of the beginning of a run's journal."`
	Pause     runsPauseCmd     `cmd:"" help:"Hold a run up until it is resumed."`
	Resume    runsResumeCmd    `cmd:"" help:"Let a paused run go on."`
}

type workflowsCmd struct {
	Pause  workflowsPauseCmd  `cmd:"" help:"Hold all runs of a workflow up, those that start later too."`
	Resume workflowsResumeCmd `cmd:"" help:"Let the runs of a paused workflow go on."`
	Paused workflowsPausedCmd `cmd:"" help:"List the workflows that are paused."`
}

type linksCmd struct {
	List   linksListCmd   `cmd:"" help:"List links to answer pages, of a run or for somebody."`
	Revoke linksRevokeCmd `cmd:"" help:"Take links back, so that nobody can answer by them."`
}

type topicsCmd struct {
	List    topicsListCmd    `cmd:"" help:"List topics and subjects that open hooks listen to."`
	Publish topicsPublishCmd `cmd:"" help:"Send a payload to all hooks that listen to a topic."`
}

type webhooksCmd struct {
	Refused   webhooksRefusedCmd   `cmd:"" help:"List requests that were refused and kept, or show one."`
	Redeliver webhooksRedeliverCmd `cmd:"" help:"Deliver refused requests after all."`
	Send      webhooksSendCmd      `cmd:"" help:"Sign a request as a sender does, and send it."`
}

type hooksCmd struct {
	List   hooksListCmd   `cmd:"" help:"List open hooks, the oldest first."`
	Show   hooksShowCmd   `cmd:"" help:"Show a hook, and what it takes."`
	Resume hooksResumeCmd `cmd:"" help:"Send a payload to a hook."`
	Call   hooksCallCmd   `cmd:"" help:"Send a request to a call, and wait for the answer."`
}
