#include "text_runner.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

namespace cameo::test {

namespace {

struct Directive {
  enum class Kind { check, next, never, error } kind;
  std::string text;
  size_t line; ///< in the file, from 1
};

struct Section {
  std::string text; ///< blank lines stand for the lines of the file before it, so that line numbers agree
  std::vector<Directive> directives;
  size_t line = 1;
};

std::vector<std::string> lines_of(const std::string &text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string one_blank(const std::string &text) {
  std::string out;
  for (char c : text)
    if (c != ' ' && c != '\t')
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// The text as a regular expression: what stands in {{}} as it is, everything else quoted.
std::regex pattern(const std::string &text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t close = text.compare(i, 2, "{{") == 0 ? text.find("}}", i) : std::string::npos;
    if (close != std::string::npos) {
      out += "(?:" + text.substr(i + 2, close - i - 2) + ")";
      i = close + 2;
      continue;
    }
    if (std::string_view("\\^$.|?*+()[]{}").find(text[i]) != std::string_view::npos) out += '\\';
    out += text[i++];
  }
  return std::regex(out);
}

bool contains(const std::string &line, const std::string &text) {
  return text.find("{{") == std::string::npos ? line.find(text) != std::string::npos
                                              : std::regex_search(line, pattern(text));
}

constexpr std::pair<const char *, Directive::Kind> kDirectives[] = {
    {"check:", Directive::Kind::check},
    {"check-next:", Directive::Kind::next},
    {"check-not:", Directive::Kind::never},
    {"error:", Directive::Kind::error},
};

// Checks the output against the directives, in order.
void check_output(const Section &section, const std::string &output, const std::string &file,
                  std::vector<std::string> &failures) {
  std::vector<std::string> lines;
  for (const std::string &line : lines_of(output)) lines.push_back(one_blank(line));
  auto fail = [&](const Directive &d, const std::string &what) {
    failures.push_back(file + ":" + std::to_string(d.line) + ": " + what + ": " + d.text + "\n--- output\n" + output);
  };
  size_t at = 0; // the first line after the last match
  bool matched = false;
  std::vector<const Directive *> never;
  auto check_never = [&](size_t end) {
    for (const Directive *d : never)
      for (size_t i = at; i < end; ++i)
        if (contains(lines[i], d->text)) {
          fail(*d, "found what must not be there");
          break;
        }
    never.clear();
  };
  for (const Directive &d : section.directives) {
    if (d.kind == Directive::Kind::never) {
      never.push_back(&d);
      continue;
    }
    size_t found = at;
    if (d.kind == Directive::Kind::next) {
      if (!matched || at >= lines.size() || !contains(lines[at], d.text)) return fail(d, "not in the next line");
    } else {
      while (found < lines.size() && !contains(lines[found], d.text)) ++found;
      if (found == lines.size()) return fail(d, "not found");
    }
    check_never(found);
    at = found + 1;
    matched = true;
  }
  check_never(lines.size());
}

// Every diagnostic answers one error directive and the other way round.
void check_errors(const Section &section, const Diagnostics &problems, const std::string &file,
                  std::vector<std::string> &failures) {
  std::vector<bool> met(problems.size());
  for (const Directive &d : section.directives) {
    if (d.kind != Directive::Kind::error) {
      failures.push_back(file + ":" + std::to_string(d.line) + ": a check in a section that fails");
      continue;
    }
    bool found = false;
    for (size_t i = 0; i < problems.size() && !found; ++i) {
      std::string message = to_string(problems[i]);
      std::smatch place;
      bool here = !std::regex_search(problems[i].where, place, std::regex(":([0-9]+):[0-9]+$")) ||
                  place[1] == std::to_string(d.line);
      if (!met[i] && here && contains(one_blank(message.substr(0, message.find('\n'))), d.text)) met[i] = found = true;
    }
    if (!found) failures.push_back(file + ":" + std::to_string(d.line) + ": error not reported: " + d.text);
  }
  for (size_t i = 0; i < problems.size(); ++i)
    if (!met[i]) failures.push_back(file + ": unexpected error: " + to_string(problems[i]));
}

void check_section(const Section &section, const std::string &file, const std::string &run, const Transform &transform,
                   std::vector<std::string> &failures) {
  if (section.directives.empty()) {
    failures.push_back(file + ":" + std::to_string(section.line) + ": a section without a directive tests nothing");
    return;
  }
  const bool wants_error = section.directives[0].kind == Directive::Kind::error;
  Result<std::string> output = transform(section.text, file, run);
  if (!output.ok())
    check_errors(section, output.errors(), file, failures);
  else if (wants_error)
    failures.push_back(file + ":" + std::to_string(section.directives[0].line) + ": no error\n--- output\n" + *output);
  else
    check_output(section, *output, file, failures);
}

} // namespace

std::vector<std::string> check_text(const std::string &text, const std::string &file, const Transform &transform) {
  std::vector<std::string> failures;
  std::string run;
  Section section;
  const std::vector<std::string> lines = lines_of(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string &line = lines[i];
    if (line.starts_with("// -----")) {
      check_section(section, file, run, transform, failures);
      section = {std::string(i + 1, '\n'), {}, i + 2};
      continue;
    }
    if (line.starts_with("// run:")) run = one_blank(line.substr(7));
    while (!run.empty() && run.front() == ' ') run.erase(0, 1);
    section.text += line + "\n";
    size_t comment = line.find("// ");
    if (comment == std::string::npos) continue;
    for (auto [word, kind] : kDirectives)
      if (line.compare(comment + 3, std::string(word).size(), word) == 0) {
        std::string rest = one_blank(line.substr(comment + 3 + std::string(word).size()));
        section.directives.push_back({kind, rest.substr(rest.starts_with(' ') ? 1 : 0), i + 1});
      }
  }
  check_section(section, file, run, transform, failures);
  return failures;
}

std::vector<std::string> check_file(const std::string &path, const Transform &transform) {
  std::ifstream stream(path, std::ios::binary);
  std::stringstream content;
  content << stream.rdbuf();
  return check_text(content.str(), std::filesystem::path(path).filename().string(), transform);
}

std::vector<std::string> text_tests(const std::string &area, const std::string &suffix) {
  std::vector<std::string> paths;
  for (const auto &entry : std::filesystem::directory_iterator(std::string(CAMEO_SOURCE_DIR "/tests/") + area))
    if (entry.path().string().ends_with(suffix)) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  if (paths.empty()) paths.push_back("tests/" + area + "/*" + suffix + " (none found)");
  return paths;
}

std::string test_name(const std::string &path) {
  std::string name = std::filesystem::path(path).stem().string();
  for (char &c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

} // namespace cameo::test
