import ClusterTestKit
import Foundation
import Testing

#if DEBUG
    extension FaultTests {
        /// `kill -9` of a manager, a router, a source and a target at every step of a job, under clients that remember what they were told.
        @Suite(.serialized) struct StrikeTests {
            /// A few of them; all with PGMOSAIC_FAULT_ROUNDS=1000. One again: PGMOSAIC_STRIKES="copying.during.source measuring.before.manager finish
            /// cleaning.after.target", the order of what a run prints.
            @Test func nothingIsLostWhoeverIsKilledAtWhicheverStep() async throws {
                try await ReshardCluster.with { cluster in
                    let struck = StruckCluster(cluster: cluster, load: StruckLoad(cluster.routers.map(\.wirePort)))
                    let courses = StrikeCourse.asked() ?? Array(StrikeCourse.all().prefix(rounds(3)))
                    for (index, course) in courses.enumerated() {
                        try await struck.run(course)
                        if index % 5 == 4 { try await struck.removeThird() }
                    }
                }
            }
        }
    }

    extension StrikeCourse {
        fileprivate static func asked() -> [StrikeCourse]? {
            guard let text = ProcessInfo.processInfo.environment["PGMOSAIC_STRIKES"] else { return nil }
            return text.split(separator: ";").compactMap { StrikeCourse(String($0)) }
        }

        /// As it is described.
        fileprivate init?(_ text: String) {
            var words = text.split(separator: " ").map(String.init)
            guard let last = words.popLast().flatMap(Strike.init), let ending = words.popLast().flatMap(Ending.init(rawValue:)) else { return nil }
            var point: String?
            if let word = words.last, word.hasPrefix("(") {
                point = String(word.dropFirst().dropLast())
                words.removeLast()
            }
            self.init(way: words.compactMap { Strike($0) }, cancelAt: point, ending: ending, end: last)
        }
    }

    extension Strike {
        fileprivate init?(_ text: String) {
            let parts = text.split(separator: ".").map(String.init)
            guard parts.count == 3, let gap = Gap(rawValue: parts[1]), let victim = Victim(rawValue: parts[2]) else { return nil }
            self.init(step: parts[0], gap: gap, victim: victim)
        }
    }
#endif
