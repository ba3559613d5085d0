import ArgumentParser
import ControlAPI
import Foundation

/// Follows a job: a screen that is drawn anew on a terminal, a line for each change otherwise.
struct JobWatch {
    static let interval = Duration.seconds(1)
    /// A manager that is away, or whose leadership passes on, is asked again this often.
    static let failuresMax = 60

    let client: APIClient
    let id: String
    let printsJSON: Bool

    /// A manager that does not answer at first is an error at once. Until the targets have the vnodes, or the job is over without that; then it throws the exit status.
    func run() async throws {
        var screen = JobScreen()
        var drawn = 0
        var last = ""
        var failures = Self.failuresMax
        let draws = !printsJSON && isatty(STDOUT_FILENO) == 1
        while true {
            let job: JSONValue
            do throws(ClientError) {
                job = try await client.send(.get, ReshardCommand.path(of: id))
                failures = 0
            } catch {
                failures += 1
                guard error.isPassing, failures < Self.failuresMax else { throw error }
                try await Task.sleep(for: Self.interval)
                continue
            }
            screen.saw(job, at: Date().timeIntervalSince1970)
            if draws {
                drawn = Self.draw(screen.lines(job), over: drawn)
            } else {
                let line = printsJSON ? job.text : JobText.line(job)
                if line != last { Console.line(line) }
                last = line
            }
            if let hasMoved = Self.end(of: job) {
                if hasMoved { return }
                throw ExitStatus.failed
            }
            try await Task.sleep(for: Self.interval)
        }
    }

    /// nil: it goes on. True: the targets have the vnodes, whatever is left to do.
    static func end(of job: JSONValue) -> Bool? {
        switch (job["status"]?.stringValue, job["step"]?.stringValue) {
        case ("completed", _): true
        case (_, "over"): false
        default: nil
        }
    }

    /// How many lines are on the screen now. Each is cut where the terminal's ends: a line that wrapped could not be drawn over.
    private static func draw(_ lines: [String], over drawn: Int) -> Int {
        var size = winsize()
        let columns = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
        var text = drawn > 0 ? "\u{1B}[\(drawn)A" : ""
        text += lines.map { "\r\u{1B}[K\($0.prefix(columns - 1))" }.joined(separator: "\n") + "\u{1B}[J"
        Console.line(text)
        return lines.count
    }
}
