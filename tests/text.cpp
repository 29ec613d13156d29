// Text from outside: what a terminal, a shell, Markdown, HTML, gnuplot or JSON would take for more than text.
// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "base/text/quoting.hpp"
#include "base/text/shown.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace evictlab::text {
namespace {

using namespace std::string_literals;

/// Every kind of character that is more than it looks.
const std::vector<std::string> hostile{"\x1b[2J\x1b[31mred\x1b]0;title\x07",
                                       "\xc2\x9b"
                                       "31m",
                                       "a\nb\tc\rd\x08\x7f\0e"s,
                                       "\xe2\x80\xae"
                                       "txt.exe",
                                       "\xe2\x81\xa6"
                                       "isolate\xe2\x81\xa9",
                                       "zero\xe2\x80\x8bwidth\xe2\x80\x8d",
                                       "\xef\xbb\xbf"
                                       "mark",
                                       "two\xe2\x80\xa8lines\xe2\x80\xa9",
                                       "soft\xc2\xadhyphen",
                                       "bad\xff\xc3(\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf",
                                       "tag\xf3\xa0\x81\x81",
                                       "\xe3\x85\xa4"
                                       "filler",
                                       "\xcc\x81 begins with a mark",
                                       "priv\xee\x80\x80"
                                       "ate",
                                       "none\xf4\x8f\xbf\xbf"};

std::string random_bytes(std::mt19937& random, std::size_t most) {
    static const std::vector<std::string> pieces{
        "'",        "\"",           "`",    "$(",   "\\", "!", "\n", " ", "|", "<b>",  "]", "(", "@",  "a", "Z",
        "\xc3\xa9", "\xe2\x80\xae", "\x1b", "\xff", "=",  "-", "~",  "*", "_", "&lt;", "#", ";", "\\|"};
    std::string text;
    const std::size_t count = random() % most;
    for (std::size_t i = 0; i < count; ++i) text += pieces[random() % pieces.size()];
    return text;
}

} // namespace

TEST_CASE("what a terminal would obey or hide is shown in its escaped form, on one line") {
    CHECK(line("\x1b[31mred") == "\\x1b[31mred");
    CHECK(line("a\nb\tc\r\0"s) == "a\\nb\\tc\\r\\x00");
    CHECK(line("\xc2\x9b"
               "31m") == "\\u009b31m");
    CHECK(line("\xe2\x80\xae"
               "exe") == "\\u202eexe");
    CHECK(line("a\xe2\x80\x8b\xe2\x80\xa8") == "a\\u200b\\u2028");
    CHECK(line("tag\xf3\xa0\x81\x81") == "tag\\U000e0041");
    CHECK(line("\xff\xc3(") == "\\xff\\xc3(");
    CHECK(line("\xed\xa0\x80") == "\\xed\\xa0\\x80"); // a surrogate is no UTF-8
    CHECK(line("h2o@seed é 層 ü 😀 ½ e\xcc\x81") == "h2o@seed é 層 ü 😀 ½ e\xcc\x81");
    CHECK(line("\xcc\x81x") == "\\u0301x"); // or it would stand on what is before the text
    std::string climbing = "o";
    for (int i = 0; i < 50; ++i) climbing += "\xcc\x81";
    CHECK(line(climbing).starts_with("o\xcc\x81\xcc\x81\xcc\x81\xcc\x81\\u0301"));
    for (const std::string& text : hostile) {
        CAPTURE(line(text));
        CHECK_FALSE(is_plain(text));
        CHECK(is_plain(line(text)));
        CHECK(line(line(text)) == line(text));
        CHECK(is_plain(sentence(text)));
        CHECK(is_plain(lines(text), true));
    }
}

TEST_CASE("a text is cut in whole characters, and says so") {
    CHECK(line("abcdef", 6) == "abcdef");
    CHECK(line("abcdefg", 6) == "abc...");
    CHECK(line("ééééééé", 6) == "ééé...");
    CHECK(line("ab\x1b\x1b", 6) == "ab..."); // an escape is not cut
    CHECK(line("abcdef", 2) == "..");
    CHECK(line("", 0).empty());
    CHECK(sentence("  a \n\n b\t ") == "a b");
    CHECK(sentence("a bcd efgh", 8) == "a bcd...");
    CHECK(lines("a\nb\x07") == "a\nb\\x07");
    CHECK(named("it's\n") == "'it's\\n'");
    const std::string large(50'000'000, '\x1b');
    CHECK(line(large, 80).size() <= 80);
}

TEST_CASE("width counts columns of a terminal") {
    CHECK(width("abc") == 3);
    CHECK(width("é") == 1);
    CHECK(width("e\xcc\x81") == 1);
    CHECK(width("層😀") == 4);
}

TEST_CASE("a shell gets back each word that was quoted for it, and runs nothing") {
    const test::TemporaryFolder folder;
    std::mt19937 random(7);
    std::vector<std::string> words{"plain", "a b",  "it's", "$(id)", "`id`",     "!!",  "~", "=x",
                                   "",      "a\nb", "-n",   "*",     "\x1b[31m", "x\\", "é", "#"};
    for (const std::string& text : hostile) words.push_back(text.substr(0, text.find('\0')));
    for (int i = 0; i < 300; ++i) words.push_back(random_bytes(random, 12));
    std::string script = "cd '" + folder.path.string() + "' || exit 9\nprintf '%s\\0'";
    for (const std::string& word : words) {
        const std::string quoted = shell_quoted(word);
        CHECK(is_plain(quoted));
        script += " " + quoted;
    }
    test::put(folder / "script", script + "\n");
    const test::Outcome result = test::shell("bash '" + (folder / "script").string() + "'");
    REQUIRE(result.code == 0);
    std::string expected;
    for (const std::string& word : words) expected.append(word).append(1, '\0');
    CHECK(result.out == expected);
    CHECK(shell_quoted("h2o@seed") == "h2o@seed");
    CHECK(shell_quoted("=x + 1") == "'=x + 1'");
    CHECK(shell_quoted("it's") == "'it'\\''s'");
}

TEST_CASE("gnuplot's strings are one line and end where they should") {
    CHECK(gnuplot_quoted("rescore\n!id\n#") == R"("rescore\134n\041id\134n\043")");
    CHECK(gnuplot_quoted("it's \"x\"") == R"("it\047s \042x\042")");
    CHECK(gnuplot_quoted("`id` @x $(y) \\") == R"("\140id\140 \100x \044(y) \134")");
    CHECK(gnuplot_quoted("é") == R"("\303\251")");
}

TEST_CASE("Markdown, HTML and CSV show the text itself") {
    CHECK(markdown("a|b") == "a\\|b");
    CHECK(markdown("[x](http://e.org)") == "[x\\](http\\://e.org)");
    CHECK(markdown("<img src=x>") == "\\<img src=x>");
    CHECK(markdown("www.e.org") == "www\\.e.org");
    CHECK(markdown("a@b.c") == "a\\@<!-- -->b.c");
    CHECK(markdown("0.12 [0.1, 0.2], gap closed: 5 %") == "0.12 [0.1, 0.2], gap closed: 5 %");
    CHECK(markdown_code("a|b`c") == "`` a\\|b`c ``");
    CHECK(markdown_code("a\\|b") == "<code>a&#92;&#124;b</code>");
    CHECK(markdown_code("x\ny") == "`x\\ny`");
    CHECK(markdown_target("a b/<c>.svg") == "<a%20b/%3Cc%3E.svg>");
    CHECK(html("<a href='x'>&\"\n") == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\\n");
    CHECK(csv("a,\"b\"") == "\"a,\"\"b\"\"\"");
    CHECK(csv("a\nb") == "a\\nb");
}

TEST_CASE("JSON keeps its values, and shows nothing but plain text") {
    for (const std::string& text : hostile) {
        const nlohmann::json value{text};
        const std::string written = value.dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
        const std::string safe = json(written);
        CAPTURE(safe);
        CHECK(nlohmann::json::parse(safe) == nlohmann::json::parse(written));
        if (text.front() != '\xcc') CHECK(is_plain(safe, true));
    }
}

} // namespace evictlab::text
