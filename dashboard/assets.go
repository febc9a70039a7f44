package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"time"

	"github.com/tenter-dev/tenter/internal/form"
)

//go:embed static
var static embed.FS

//go:embed templates
var templates embed.FS

// assetPath is where the static files are. It changes with them, so they can be cached forever.
var assetPath = "static/" + digest(static) + "/"

func digest(files fs.FS) string {
	h := sha256.New()
	h.Write(form.Stylesheet)
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		h.Write([]byte(name))
		h.Write(data)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// assets serves the static files.
var assets = func() http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // they are compiled in
	}
	serve := http.StripPrefix("/"+assetPath, http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		if r.URL.Path == "/"+assetPath+"form.css" {
			http.ServeContent(w, r, "form.css", time.Time{}, bytes.NewReader(form.Stylesheet))
			return
		}
		serve.ServeHTTP(w, r)
	})
}()
