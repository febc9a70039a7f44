// Package dashboard is a web page for whoever looks after runs: what runs there are,
// what each waits for, what it has done, a form to resume a hook, and buttons to cancel,
// terminate, wake and retry.
//
//	mux.Handle("/tenter/", http.StripPrefix("/tenter", dashboard.New(eng, dashboard.Options{})))
//
// [New] returns a handler that can be mounted below any path. It brings all that it
// needs along and loads nothing from elsewhere. All views and forms work without
// JavaScript; with it, they follow what happens.
//
// It sees and acts through an [inspect.Client] alone, so it serves an engine in the same
// process and, through a client, one elsewhere. It knows no store and no engine.
package dashboard
