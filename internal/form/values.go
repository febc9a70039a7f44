package form

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
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

// parts reads what has been sent with files: a file that was chosen is in the place of one that the
// page has kept.
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
		_, params, _ := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		switch name, file := params["name"], params["filename"]; {
		case file != "":
			values.Set(name, newFile(file, p.Header.Get("Content-Type"), data).String())
		case !has(params, "filename"): // with an empty name none was chosen
			values.Add(name, string(data))
		}
	}
}

func has(params map[string]string, name string) bool {
	_, ok := params[name]
	return ok
}
