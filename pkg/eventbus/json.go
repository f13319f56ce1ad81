package eventbus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"strings"
)

// MarshalJSON writes the event in the structured mode of the CloudEvents 1.0
// JSON format. JSON data is embedded (without insignificant white space), any
// other data, and JSON that is none, is base64 in data_base64.
func (e Event) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(`{"specversion":"` + SpecVersion + `"`)
	for name, value := range e.Attributes() {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("encode %s of %s: %w", name, e.ID, err)
		}
		out.WriteString(`,"` + name + `":`)
		out.Write(text)
	}
	switch {
	case len(e.Data) == 0:
	case isJSON(e.ContentType()) && json.Valid(e.Data):
		out.WriteString(`,"data":`)
		out.Write(e.Data)
	default:
		data, err := json.Marshal(e.Data) // a []byte is base64 in JSON
		if err != nil {
			return nil, fmt.Errorf("encode data of %s: %w", e.ID, err)
		}
		out.WriteString(`,"data_base64":`)
		out.Write(data)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// UnmarshalJSON reads the structured mode of the CloudEvents 1.0 JSON format.
// Unknown extensions are ignored; numbers and booleans are accepted where the
// attribute is a text. What is read is not validated: see [Event.Validate].
func (e *Event) UnmarshalJSON(text []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidEvent, err)
	}
	var read Event
	for name, raw := range members {
		switch name {
		case "specversion", "data", "data_base64":
			continue
		}
		value, ok := scalar(raw)
		if !ok {
			continue // null is the same as absent; extensions are no objects
		}
		if err := read.SetAttribute(name, value); err != nil {
			return err
		}
	}
	if version, _ := scalar(members["specversion"]); version != SpecVersion {
		return fmt.Errorf("%w: specversion %.20q, want %q", ErrInvalidEvent, version, SpecVersion)
	}
	data, err := readData(read.ContentType(), members)
	if err != nil {
		return err
	}
	read.Data = data
	*e = read
	return nil
}

func readData(contentType string, members map[string]json.RawMessage) ([]byte, error) {
	if raw, ok := members["data_base64"]; ok {
		var data []byte
		if err := json.Unmarshal(raw, &data); err != nil {
			return nil, fmt.Errorf("%w: data_base64: %w", ErrInvalidEvent, err)
		}
		return data, nil
	}
	raw, ok := members["data"]
	if !ok {
		return nil, nil
	}
	if !isJSON(contentType) {
		// Data of another type that was embedded is the text of a JSON string.
		if text, ok := scalar(raw); ok && bytes.HasPrefix(raw, []byte(`"`)) {
			return []byte(text), nil
		}
	}
	return bytes.Clone(raw), nil
}

// scalar is the text of a JSON string, number or boolean.
func scalar(raw json.RawMessage) (text string, ok bool) {
	if len(raw) == 0 {
		return "", false
	}
	switch raw[0] {
	case '{', '[', 'n':
		return "", false
	case '"':
		if json.Unmarshal(raw, &text) != nil {
			return "", false
		}
		return text, true
	default:
		return string(raw), true
	}
}

// isJSON follows CloudEvents 1.0 JSON format, section 3.1: the type is JSON
// when its subtype is json or ends in +json.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	_, subtype, _ := strings.Cut(media, "/")
	return subtype == "json" || strings.HasSuffix(subtype, "+json")
}
