import ControlAPI
import Testing

@testable import pgmosaic

@Suite struct JobTextTests {
    private func job(_ status: String, _ step: String, bytes: Int64 = 1_048_576, _ more: [JSONValue.Member] = []) -> JSONValue {
        .object(
            [
                .init("id", "j1"), .init("type", "split"), .init("database", "shop"), .init("source_shards", ["east"]), .init("target_shards", ["west"]),
                .init("vnodes", 128), .init("status", .string(status)), .init("step", .string(step)), .init("progress", .number("0.45")),
                .init("total_bytes", 2_097_152), .init("bytes_copied", .integer(bytes)), .init("lag_bytes", 2048),
            ] + more)
    }

    @Test func aLineSaysWhatCountsInTheStatus() {
        #expect(JobText.line(job("precopy", "copying")) == "job j1  precopy (copying)  45.0 %  1.0 MiB of 2.0 MiB")
        #expect(JobText.line(job("deltasync", "verifying")) == "job j1  deltasync (verifying)  45.0 %  lag 2.0 KiB")
        let failed = job("failed", "over", [.init("error_message", "no\u{1B}[2J room"), .init("attempts_abandoned", 2), .init("pause_ms", .number("81.6"))])
        #expect(JobText.line(failed) == "job j1  failed (over)  45.0 %  pause 82 ms  2 attempts given up  no\\x1b[2J room")
    }

    @Test func theLiveViewHasBarsRatesAndTheEndThatIsExpected() {
        var screen = JobScreen()
        let table: JSONValue = ["name": "public.orders", "rows_copied": 250, "total_rows": 1000, "bytes_copied": 9]
        let stream: JSONValue = ["source_shard": "east", "state": "streaming", "lag_bytes": 0, "changes": 12_000]
        let more: [JSONValue.Member] = [.init("tables", [table]), .init("streams", [stream])]
        screen.saw(job("precopy", "copying", bytes: 0), at: 0)
        #expect(screen.rate == nil)
        screen.saw(job("precopy", "copying", bytes: 524_288), at: 10)
        let now = job("precopy", "copying", more)
        screen.saw(now, at: 20)
        let lines = screen.lines(now)
        #expect(lines[0] == "job j1  split of shop: east to west, 128 vnodes")
        #expect(lines[1] == "[##############................] 45.0 %  precopy (copying)")
        #expect(lines[2] == "read 1.0 MiB of 2.0 MiB, 51.2 KiB a second, about 20 s left")
        #expect(lines[3] == "  [########......................] public.orders  250 of about 1,000 rows")
        #expect(lines[4] == "changes of east: streaming, 12,000 applied, lag 0 B")
        // The copy began anew.
        screen.saw(job("precopy", "copying", bytes: 1), at: 21)
        #expect(screen.rate == nil && screen.remaining(now) == nil)
    }

    @Test func timesAreRoundedUp() {
        #expect(JobScreen.duration(0.2) == "1 s" && JobScreen.duration(185) == "3 min 5 s" && JobScreen.duration(7441) == "2 h 4 min")
    }

    @Test func watchingEndsWithTheSwitchOrTheJob() {
        #expect(JobWatch.end(of: job("precopy", "copying")) == nil && JobWatch.end(of: job("cancelled", "cleaning")) == nil)
        #expect(JobWatch.end(of: job("completed", "guarding")) == true && JobWatch.end(of: job("completed", "over")) == true)
        #expect(JobWatch.end(of: job("failed", "over")) == false && JobWatch.end(of: job("cancelled", "over")) == false)
    }

    @Test func aPlanIsATable() {
        let plan: JSONValue = [
            "type": "split", "database": "shop", "cuts": 1, "retiring": ["east"], "conflict": "j0",
            "moves": [
                ["source_shard": "east", "target_shard": "west", "vnodes": 3, "share_of_ring": .number("0.25"), "share_of_source": .number("0.5"), "row_estimate": 12345],
            ],
        ]
        #expect(
            ReshardPlanCommand.text(plan) == """
                FROM  TO    VNODES  OF THE SHARD  OF THE RING  ROWS, ABOUT  BYTES, ABOUT
                east  west       3        50.0 %       25.0 %       12,345       unknown
                1 vnode is cut in two for it
                by tokens and statistics: the rows could not be sampled
                owning nothing afterwards: east
                in the way: job j0
                """)
        let measured = plan.with("sampled_rows", 2345).with("seconds_estimate", .number("61.5"))
        #expect(ReshardPlanCommand.text(measured).contains("\nby 2,345 sampled rows\nthe copy would take about 1 min 2 s, as fast as those of the last jobs\n"))
        #expect(ReshardPlanCommand.text(plan.with("sampled_rows", 0)).contains("\nby tokens: no rows were found\n"))
    }
}

extension JSONValue {
    fileprivate func with(_ name: String, _ value: JSONValue) -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(members + [.init(name, value)])
    }
}
