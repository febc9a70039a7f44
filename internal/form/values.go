package form

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxParts is how many controls a browser may send: each field has one, or two.
const maxParts = 2*maxFields + 100

// Values reads the body of a form that a browser has sent, with files or without. All of it is UTF-8.
func Values(contentType string, body []byte) (url.Values, error) {
	if len(body) == 0 {
		return url.Values{}, nil
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, fmt.Errorf("content type %q: %w", contentType, err)
	}
	var values url.Values
	switch kind {
	case "application/x-www-form-urlencoded":
		values, err = url.ParseQuery(string(body))
	case "multipart/form-data":
		values, err = parts(multipart.NewReader(bytes.NewReader(body), params["boundary"]))
	default:
		err = fmt.Errorf("content type %s is not that of a form", kind)
	}
	if err != nil {
		return nil, err
	}
	for name, all := range values {
		for _, v := range append(all, name) {
			if !utf8.ValidString(v) {
				return nil, fmt.Errorf("field %q is not valid UTF-8", name)
			}
		}
	}
	return values, nil
}

// parts reads what has been sent with files: a file that was chosen replaces the one that the page has
// kept.
func parts(r *multipart.Reader) (url.Values, error) {
	values := url.Values{}
	for n := 0; ; n++ {
		p, err := r.NextRawPart()
		if err == io.EOF { //nolint:errorlint // an end before its time wraps it
			return values, nil
		}
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", n+1, err)
		}
		if n == maxParts {
			return nil, fmt.Errorf("there are more than %d parts", maxParts)
		}
		data, err := io.ReadAll(p)
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", n+1, err)
		}
		// Browsers escape a quote, and no backslash.
		disposition := strings.ReplaceAll(p.Header.Get("Content-Disposition"), `\`, `\\`)
		_, params, err := mime.ParseMediaType(disposition)
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", n+1, err)
		}
		name := unescapeQuotes.Replace(params["name"])
		switch file, isFile := params["filename"]; {
		case !isFile:
			values.Add(name, string(data))
		case file != "": // else none was chosen
			values.Set(name, newFile(unescapeQuotes.Replace(file), p.Header.Get("Content-Type"), base64.StdEncoding.EncodeToString(data)).String())
		}
	}
}

// unescapeQuotes undoes what browsers do to names in headers.
var unescapeQuotes = strings.NewReplacer("%22", `"`, "%0D", "\r", "%0A", "\n")
