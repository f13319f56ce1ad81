package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the pages at the root and below this folder, by path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	add := func(path string) {
		text, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Fatal(err)
		}
		found[path] = string(text)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "contracts/README.md"} {
		add(name)
	}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			add(filepath.Join("docs", path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	link, code := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`), regexp.MustCompile("(?ms)^```.*?^```$")
	for page, text := range pages(t) {
		links := link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1)
		for _, match := range links {
			if strings.Contains(match[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(page), match[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, match[1])
			}
		}
	}
}

func TestEveryTestThatIsNamedExistsWhereThePageSays(t *testing.T) {
	link, name := regexp.MustCompile(`\]\(([^)]+_test\.go)\)`), regexp.MustCompile("`(Test[A-Z]\\w+)`")
	named := 0
	for page, text := range pages(t) {
		var file string
		for part := range strings.SplitSeq(text, "[") {
			if match := link.FindStringSubmatch("[" + part); match != nil {
				file = filepath.Join("..", filepath.Dir(page), match[1])
			}
			for _, match := range name.FindAllStringSubmatch(part, -1) {
				named++
				code, err := os.ReadFile(file)
				if err != nil || !strings.Contains(string(code), "func "+match[1]+"(t *testing.T)") {
					t.Errorf("%s: there is no %s in %q", page, match[1], file)
				}
			}
		}
	}
	if named == 0 {
		t.Error("no page names a test")
	}
}

// TestWhatMakeTestLeavesOutIsSaid finds tests that a page names, that end at once unless TEST_LONG=1 is set, and of which
// the line that names them does not say so.
func TestWhatMakeTestLeavesOutIsSaid(t *testing.T) {
	link, name := regexp.MustCompile(`\]\(([^)]+_test\.go)\)`), regexp.MustCompile("`(Test[A-Z]\\w+)`")
	leftOut := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\) \{\n\tif (?:os\.Getenv\("TEST_LONG"\) != "1"|!long\(\)) \{\n\t\tt\.Skip`)
	for page, text := range pages(t) {
		for line := range strings.Lines(text) {
			var skipped []string
			for _, file := range link.FindAllStringSubmatch(line, -1) {
				code, err := os.ReadFile(filepath.Join("..", filepath.Dir(page), file[1]))
				if err != nil {
					t.Fatal(err)
				}
				for _, match := range leftOut.FindAllStringSubmatch(string(code), -1) {
					skipped = append(skipped, match[1])
				}
			}
			for _, match := range name.FindAllStringSubmatch(line, -1) {
				if slices.Contains(skipped, match[1]) && !strings.Contains(line, "TEST_LONG=1") {
					t.Errorf("%s: make test leaves out %s, and the page does not say so", page, match[1])
				}
			}
		}
	}
}

func TestEveryMakeTargetThatIsNamedExists(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("(?m)(?:`|^)(?:STACK=\\w+ )?make ([a-z0-9-]+)")
	for page, text := range pages(t) {
		for _, match := range named.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(string(makefile), "\n.PHONY: "+match[1]+"\n") {
				t.Errorf("%s names make %s, which does not exist", page, match[1])
			}
		}
	}
}

// TestEveryCommandOfTheREADMEIsRun finds commands that neither scripts/readme.sh nor .ci/run runs.
func TestEveryCommandOfTheREADMEIsRun(t *testing.T) {
	script, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")
	run := 0
	for _, block := range fence.FindAllStringSubmatch(pages(t)["README.md"], -1) {
		switch kind, body := block[1], block[2]; kind {
		case "sh run":
			run++
		case "": // a picture
		case "sh":
			for command := range strings.Lines(body) {
				target := strings.TrimPrefix(strings.TrimSpace(command), "make ")
				if !slices.Contains(strings.Fields(string(script)), target) {
					t.Errorf("nothing runs %q", command)
				}
			}
		default:
			t.Errorf("a block of kind %q: commands begin with ```sh run", kind)
		}
	}
	if run == 0 {
		t.Error("the README has no commands that are run")
	}
}
