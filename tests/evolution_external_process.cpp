// The judge's client and the process below it: whatever the other side does, the run learns it in words, within its
// time, and a resumed run hears the same. SPDX-License-Identifier: MIT
#include <atomic>
#include <cerrno>
#include <csignal>
#include <dirent.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "evolution/external/verdict_judge.hpp"
#include "tests/support/acting_process.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::evolution;
using namespace std::chrono_literals;
using evictlab::test::ActingProcess;
using state::AnswerJournal;
using Clock = std::chrono::steady_clock;
using Lines = std::vector<std::string>;

namespace {

const std::vector<ModelQuestion> three{{"sink", {"emma", "dorian", "alice"}}};

/// An acting judge, and the journal of a run that is resumed as often as it is asked.
struct JudgedRun {
    ActingProcess process{test::acting_judge};

    std::filesystem::path journal_file() const { return process.folder / "run.exchanges"; }
    std::vector<ModelAnswer> ask(const std::string& manner, const std::vector<ModelQuestion>& questions,
                                 std::string* lost = nullptr, std::chrono::milliseconds timeout = 60s,
                                 const Shape& shape = {}, const std::vector<std::size_t>& keep = {}) const {
        AnswerJournal journal = AnswerJournal::resume(journal_file());
        VerdictJudge judge({process.command(manner), {0.5, 0.25}, timeout, shape, keep}, journal);
        const auto verdicts = judge.ask(questions, {});
        if (lost != nullptr) *lost = judge.lost();
        return verdicts;
    }
};

/// 0.5, 0.25: what the acting judge answers.
std::vector<double> answer_about(const std::string& scorer, const std::string& document) {
    const auto length = static_cast<double>(scorer.size() + document.size());
    return {length / 0.5, length / 0.25};
}

void check_answers(const std::vector<ModelAnswer>& verdicts, const std::vector<ModelQuestion>& questions) {
    REQUIRE(verdicts.size() == questions.size());
    for (std::size_t q = 0; q < questions.size(); ++q) {
        CHECK(verdicts[q].failure == "");
        REQUIRE(verdicts[q].kl.size() == questions[q].documents.size());
        for (std::size_t d = 0; d < verdicts[q].kl.size(); ++d)
            CHECK(verdicts[q].kl[d] == answer_about(questions[q].scorer, questions[q].documents[d]));
    }
}

std::size_t open_descriptors() {
    std::size_t count = 0;
    DIR* const folder = opendir("/proc/self/fd");
    while (readdir(folder) != nullptr) ++count;
    closedir(folder);
    return count;
}

bool has_child() { return waitpid(-1, nullptr, WNOHANG) == 0 || errno != ECHILD; }

} // namespace

TEST_CASE("Answers in any order belong to their questions, and what the journal holds is not asked again") {
    const JudgedRun run;
    check_answers(run.ask("answers in reverse", three), three);
    CHECK(run.process.log() == Lines{"start", "sink emma", "sink dorian", "sink alice"});

    check_answers(run.ask("dies at once", three), three);
    CHECK(run.process.log() == Lines{});

    const std::vector<ModelQuestion> more{{"sink", {"alice", "emma", "other"}}, {"=1", {"emma", "emma"}}};
    check_answers(run.ask("is plain", more), more);
    CHECK(run.process.log() == Lines{"start", "sink other", "=1 emma"});
}

TEST_CASE("A judge that greets by the protocol's former name is asked as any other") {
    const JudgedRun run;
    check_answers(run.ask("greets as of old", three), three);
}

TEST_CASE("More questions than may be under way at once are all answered") {
    const JudgedRun run;
    std::vector<ModelQuestion> many;
    for (int i = 0; i < 40; ++i) many.push_back({"=" + std::to_string(i), {"emma", "dorian"}});
    check_answers(run.ask("is plain", many), many);
}

TEST_CASE("As many questions are under way as the judge says that it takes in parallel, and never fewer than eight") {
    const auto [manner, questions] = GENERATE(table<std::string, int>({{"takes twenty", 20}, {"takes two", 8}}));
    const JudgedRun run;
    std::vector<ModelQuestion> many;
    for (int i = 0; i < questions; ++i) many.push_back({"=" + std::to_string(i), {"emma"}});
    check_answers(run.ask(manner, many), many); // which answers once it has read them all, the last one first
}

TEST_CASE("A shape goes with each request to a judge that heeds it, and another judge is refused") {
    const JudgedRun run;
    Shape shape;
    shape.granularity = Granularity::layer;
    shape.block = 16;
    const std::vector<ModelQuestion> one{{"sink", {"emma"}}};
    CHECK_THROWS_WITH(run.ask("is plain", one, nullptr, 60s, shape),
                      ContainsSubstring("knows no shapes") && ContainsSubstring("blocks of 16 tokens"));
    (void)run.process.log();
    check_answers(run.ask("heeds shapes", one, nullptr, 60s, shape), one);
    CHECK(run.process.log() == Lines{"start", "sink emma granularity=layer join=mean block=16 sinks=0 recent=0"});
    check_answers(run.ask("heeds shapes", one), one); // another question than that without a shape
    CHECK(run.process.log() == Lines{"start", "sink emma"});
}

TEST_CASE("Numbers of tokens go with each request to a judge that heeds them, and another judge is refused") {
    const JudgedRun run;
    const std::vector<ModelQuestion> one{{"sink", {"emma"}}};
    CHECK_THROWS_WITH(run.ask("heeds shapes", one, nullptr, 60s, {}, {128, 256}),
                      ContainsSubstring("knows no numbers of tokens") && ContainsSubstring("this run keeps 128,256"));
    (void)run.process.log();
    check_answers(run.ask("heeds numbers", one, nullptr, 60s, {}, {128, 256}), one);
    CHECK(run.process.log() == Lines{"start", "sink emma keep=[128, 256]"});
    check_answers(run.ask("heeds numbers", one), one); // another question than that of shares
    CHECK(run.process.log() == Lines{"start", "sink emma"});
}

TEST_CASE("The documents are the judge's, by split, and a resumed run knows them without it") {
    const JudgedRun run;
    for (const char* manner : {"is plain", "dies at once"}) {
        AnswerJournal journal = AnswerJournal::resume(run.journal_file());
        VerdictJudge judge({run.process.command(manner), {0.5}, 60s}, journal);
        const auto valid = judge.documents("valid", {});
        REQUIRE(valid.size() == 2);
        CHECK(valid[1].name == "alice");
        CHECK(valid[1].kind == "prose");
        CHECK(judge.documents("train", {}).size() == 1);
        CHECK(judge.identity({}) == "a model");
    }
    CHECK(run.process.log() == Lines{"start"});
}

TEST_CASE("A judge that dies is started once more and asked what it left open") {
    const JudgedRun run;
    std::string lost;
    check_answers(run.ask("dies at the third once", three, &lost), three);
    CHECK(lost == "");
    CHECK(run.process.log() == Lines{"start", "sink emma", "sink dorian", "sink alice", "start", "sink alice"});
}

TEST_CASE("A judge that is lost stays lost on resume, until it is forgiven") {
    const JudgedRun run;
    const std::vector<ModelQuestion> questions{{"sink", {"a", "b"}}, {"h2o", {"a", "b"}}, {"snapkv", {"a", "b"}}};
    std::string lost;
    const auto verdicts = run.ask("dies at the third", questions, &lost);
    CHECK_THAT(lost, ContainsSubstring("lost at snapkv on a: it ended with exit status 3"));
    CHECK(verdicts[1].failure == "");
    CHECK(verdicts[2].failure == lost);
    CHECK(verdicts[2].kl.empty());
    run.process.log();

    std::string still;
    const auto again = run.ask("is plain", {questions[1], questions[2], {"random", {"a"}}}, &still);
    CHECK(still == lost);
    CHECK(again[0].kl == verdicts[1].kl);
    CHECK(again[1].failure == lost);
    CHECK(again[2].failure == lost);
    CHECK(run.process.log() == Lines{});

    AnswerJournal journal = AnswerJournal::resume(run.journal_file());
    VerdictJudge judge({run.process.command("is plain"), {0.5, 0.25}, 60s}, journal);
    judge.forgive();
    CHECK(judge.lost() == "");
    check_answers(judge.ask(questions, {}), questions);
    CHECK(run.process.log() == Lines{"start", "snapkv a", "snapkv b"});
    CHECK(judge.answers() == 6);
    CHECK(AnswerJournal::resume(run.journal_file()).size() == journal.size());
}

TEST_CASE("A judge that was forgiven may die once more, and no oftener") {
    const JudgedRun run;
    AnswerJournal journal = AnswerJournal::resume(run.journal_file());
    VerdictJudge judge({run.process.command("dies at the third"), {0.5, 0.25}, 60s}, journal);
    const std::vector<ModelQuestion> questions{{"sink", {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}}};
    const auto starts = [&] {
        const Lines log = run.process.log();
        return std::count(log.begin(), log.end(), "start");
    };
    judge.ask(questions, {});
    CHECK_FALSE(judge.lost().empty());
    CHECK(starts() == 2);
    CHECK(judge.answers() == 4); // two of each life
    judge.forgive();
    judge.ask(questions, {});
    CHECK_FALSE(judge.lost().empty());
    CHECK(starts() == 2);
    CHECK(judge.answers() == 8);
    judge.forgive();
    CHECK(judge.ask(questions, {}).front().kl.size() == 10); // two were left
    CHECK(starts() == 1);
    CHECK(judge.lost().empty());
}

TEST_CASE("A judge that once worked and cannot be started again is lost, and no wrong command") {
    const JudgedRun run;
    const std::string second_start = "'" + run.journal_file().string() + ".started'";
    AnswerJournal journal = AnswerJournal::resume(run.journal_file());
    VerdictJudge judge({"test -e " + second_start + " && exit 7; touch " + second_start + "; " +
                            run.process.command("dies at the third"),
                        {0.5, 0.25},
                        60s},
                       journal);
    const auto verdicts = judge.ask(three, {});
    CHECK_THAT(judge.lost(), ContainsSubstring("it ended with exit status 7"));
    CHECK(verdicts.back().failure == judge.lost());
}

TEST_CASE("Nonsense and silence lose the judge at once, and the reason says what happened") {
    const auto [manner, reason] = GENERATE(table<std::string, std::string>({
        {"is killed", "it was killed by signal 9 (Killed)"},
        {"hangs", "it was silent for "},
        {"writes garbage", "not JSON: 'Traceback (most recent call last):\\x07'"},
        {"writes a very long line", "a line of more than 1048576 bytes"},
        {"answers NaN", "not JSON"},
        {"answers below zero", "kl[0][1]: -0.5 is negative"},
        {"answers too few", "kl[0]: 1 retentions, but 2 were asked"},
        {"answers a text", "kl: expected a list, found \"0.5\""},
        {"answers something else", "answers a question 99 that is not open"},
    }));
    const JudgedRun run;
    const auto began = Clock::now();
    run.ask("is plain", {{"h2o", {"emma"}}});
    // What hangs must have had time to begin on a machine as slow as this one.
    const auto begins_in = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
    run.process.log();
    std::string lost;
    const auto verdicts = run.ask(manner, {{"sink", {"emma"}}, {"h2o", {"emma"}}}, &lost,
                                  manner == "hangs" ? std::max<std::chrono::milliseconds>(2s, 10 * begins_in) : 60s);
    CHECK_THAT(lost, ContainsSubstring("the judge was lost at sink on emma: it "));
    CHECK_THAT(lost, ContainsSubstring(reason));
    CHECK(verdicts[0].failure == lost);
    CHECK(verdicts[1].failure == "");
    CHECK(run.process.log().size() == (manner == "is killed" ? 4 : 2)); // only who dies is started again
    std::string replayed;
    run.ask("is plain", {{"sink", {"emma"}}}, &replayed);
    CHECK(replayed == lost);
}

TEST_CASE("A scorer that cannot be judged fails alone, and again on resume") {
    const JudgedRun run;
    const std::vector<ModelQuestion> questions{{"sink", {"emma", "dorian"}}, {"h2o", {"emma"}}};
    for (const char* manner : {"refuses", "is plain"}) {
        std::string lost;
        const auto verdicts = run.ask(manner, questions, &lost);
        CHECK(verdicts[0].failure == "no such column");
        CHECK(verdicts[0].kl.empty());
        CHECK(verdicts[1].failure == "");
        CHECK(lost == "");
    }
    CHECK(run.process.log() == Lines{"start", "sink emma", "sink dorian", "h2o emma"});
}

TEST_CASE("A judge that does not introduce itself is an error, of which nothing is kept") {
    const auto [manner, reason] = GENERATE(table<std::string, std::string>({
        {"dies at once", "it ended with exit status 7"},
        {"hangs at once", "it was silent for 0.3 s"},
        {"chats first", "it wrote 'Loading the weights ...' where the line that introduces it belongs"},
        {"takes none", "its introduction: parallel: expected at least 1, found 0"},
        {"takes some", "its introduction: parallel: expected "},
        {"shows test", "documents[3].split: expected \"train\" or \"valid\", found \"test\""},
    }));
    const JudgedRun run;
    CHECK_THROWS_WITH(run.ask(manner, three, nullptr, manner == "hangs at once" ? 300ms : 60s),
                      ContainsSubstring(reason));
    CHECK(!std::filesystem::exists(run.journal_file()));
}

TEST_CASE("A command that does not exist says so") {
    ActingProcess process(test::acting_judge);
    AnswerJournal journal = AnswerJournal::create(process.folder / "run.exchanges");
    VerdictJudge judge({"evictlab-no-such-judge 2>/dev/null", {0.5}, 60s}, journal);
    CHECK_THROWS_WITH(judge.documents("valid", {}),
                      ContainsSubstring("'evictlab-no-such-judge 2>/dev/null' does not work: it ended with exit "
                                        "status 127 (the shell found no such command)"));
}

TEST_CASE("Another judge than the run's is refused with both names") {
    const JudgedRun run;
    run.ask("is plain", three);
    CHECK_THROWS_WITH(run.ask("another", {{"h2o", {"emma"}}}),
                      ContainsSubstring("'a model'") && ContainsSubstring("'another model'"));
    check_answers(run.ask("is plain", {{"h2o", {"emma"}}}), {{"h2o", {"emma"}}});
}

TEST_CASE("Ctrl-C ends the wait and the judge long before it would be silent for too long, and its question is asked "
          "on resume") {
    const JudgedRun run;
    std::atomic<bool> flag = false;
    Clock::time_point stopped;
    {
        AnswerJournal journal = AnswerJournal::create(run.journal_file());
        VerdictJudge judge({run.process.command("hangs"), {0.5, 0.25}, 600s}, journal);
        judge.documents("valid", {});
        std::thread interrupt([&] {
            while (!run.process.has_logged("sink emma")) std::this_thread::sleep_for(10ms);
            stopped = Clock::now();
            flag = true;
        });
        CHECK_THROWS_AS(judge.ask(three, StopSignal(&flag)), Interrupted);
        interrupt.join();
        CHECK(Clock::now() - stopped < 60s); // within a tenth of a second on an idle machine
        CHECK(!has_child());
    }
    check_answers(run.ask("is plain", three), three);
}

TEST_CASE("A process that ignores the end of its input and SIGTERM is killed, with its group, and leaves nothing") {
    const JudgedRun run;
    const std::size_t before = open_descriptors();
    const auto began = Clock::now();
    check_answers(run.ask("is stubborn", three), three);
    CHECK(Clock::now() - began < 300s); // it would sleep for 600
    CHECK(!has_child());
    CHECK(open_descriptors() == before);

    const auto file = run.process.folder / "pid";
    {
        LineProcess process("sleep 600 & echo $! >'" + file.string() + "'; echo ready; exit 5");
        CHECK(process.read_line(Clock::now() + 60s, {}) == "ready");
        CHECK_THROWS_WITH(process.read_line(Clock::now() + 60s, {}), "ended with exit status 5");
    }
    const pid_t sleeper = std::stoi(test::bytes_of(file));
    for (int i = 0; i < 3000 && kill(sleeper, 0) == 0; ++i) std::this_thread::sleep_for(10ms);
    const std::string status = test::bytes_of("/proc/" + std::to_string(sleeper) + "/stat");
    CHECK((status.empty() || status.find(") Z ") != status.npos)); // a zombie is its new parent's to reap
}

TEST_CASE("A process that does not read neither stops nor kills the writer") {
    {
        LineProcess process("sleep 60");
        for (int i = 0; i < 10; ++i) process.send(std::string(100'000, 'x'));
        CHECK_THROWS_WITH(process.read_line(Clock::now() + 100ms, {}), "was silent for too long");
    }
    LineProcess process("exec <&-; echo closed; sleep 60");
    CHECK(process.read_line(Clock::now() + 60s, {}) == "closed");
    process.send("what nobody reads");
    CHECK_THROWS_WITH(process.read_line(Clock::now() + 100ms, {}), "was silent for too long");
}

TEST_CASE("All lines of a process that ended are read before its end is told") {
    LineProcess process("read line; echo \"$line\"; echo; printf 'b\\nunfinished'; kill -TERM $$");
    process.send("a");
    const auto deadline = Clock::now() + 60s;
    CHECK(process.read_line(deadline, {}) == "a");
    CHECK(process.read_line(deadline, {}) == "");
    CHECK(process.read_line(deadline, {}) == "b");
    CHECK_THROWS_WITH(process.read_line(deadline, {}), "was killed by signal 15 (Terminated)");
}

TEST_CASE("Lines are told apart wherever the pipe cut them") {
    LineProcess process("printf abc; read line; printf 'd\\ne\\n\\nf'; read line; printf 'g\\n'; read line");
    CHECK_THROWS_WITH(process.read_line(Clock::now() + 300ms, {}), "was silent for too long");
    process.send("go on");
    const auto deadline = Clock::now() + 60s;
    for (const char* line : {"abcd", "e", ""}) CHECK(process.read_line(deadline, {}) == line);
    CHECK_THROWS_WITH(process.read_line(Clock::now() + 300ms, {}), "was silent for too long");
    process.send("go on");
    CHECK(process.read_line(deadline, {}) == "fg");
}

TEST_CASE("A SIGPIPE of the host's own stays its own, and none of a dead process comes to it") {
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    const auto is_pending = [&] {
        sigpending(&pending);
        return sigismember(&pending, SIGPIPE) == 1;
    };
    LineProcess process("exit 0");
    CHECK_THROWS_AS(process.read_line(Clock::now() + 60s, {}), ProcessFailure); // it is dead now
    process.send("what nobody reads");
    CHECK_FALSE(is_pending());
    raise(SIGPIPE);
    LineProcess other("exit 0");
    CHECK_THROWS_AS(other.read_line(Clock::now() + 60s, {}), ProcessFailure);
    other.send("what nobody reads");
    CHECK(is_pending());
    const timespec at_once{};
    CHECK(sigtimedwait(&pipe, nullptr, &at_once) == SIGPIPE);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}
