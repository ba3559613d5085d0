#if DEBUG
    internal import Foundation

    /// A place in a job at which a test stops the manager: `STEP.before`, when the step is in the catalog and its effect has not begun, and `STEP.after`, when the
    /// effect has ended and nothing is written of it. Debug builds only; no other build has it, and without the variable nothing is looked at.
    enum JobPoint {
        enum Side: String { case before, after }

        /// A folder. A file in it with a point's name holds what is to be done there once: `crash`, `pause` or `delay MILLISECONDS`. When the point is reached, the
        /// file is called `POINT.reached`; a pause lasts until that one is gone.
        static let variable = "PGMOSAIC_JOB_POINTS"
        private static let folder = ProcessInfo.processInfo.environment[variable].flatMap { $0.isEmpty ? nil : $0 }
        private static let pauseMax = Duration.seconds(120)

        /// Ends early when the task is cancelled, as the effect would.
        static func pass(_ step: String, _ side: Side) async {
            guard let folder else { return }
            let file = "\(folder)/\(step).\(side.rawValue)"
            guard rename(file, file + ".reached") == 0, let text = try? String(contentsOfFile: file + ".reached", encoding: .utf8) else { return }
            let words = text.split(whereSeparator: \.isWhitespace)
            switch words.first {
            case "crash": kill(getpid(), SIGKILL)
            case "delay": try? await Task.sleep(for: .milliseconds(words.dropFirst().first.flatMap { Int($0) } ?? 0))
            case "pause":
                let end = ContinuousClock.now + pauseMax
                while access(file + ".reached", F_OK) == 0, end > .now, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(2)) }
            default: break
            }
        }
    }
#endif
