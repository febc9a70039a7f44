package main

import "testing"

func TestCommandHasNoPassword(t *testing.T) {
	t.Parallel()
	a := &app{env: func(string) (string, bool) { return "", false }}
	a.cli.DB = "postgres://app:secret@localhost/app"
	a.cli.Schema = "the schema"
	target, err := a.target()
	if err != nil {
		t.Fatal(err)
	}
	want := "tenter --db postgres://app:xxxxx@localhost/app --schema 'the schema' runs show 'it'\\''s'"
	if got := target.command("runs", "show", "it's"); got != want {
		t.Errorf("command is %s, want %s", got, want)
	}
}
