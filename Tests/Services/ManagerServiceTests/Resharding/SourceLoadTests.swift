import ManagerService
import ReshardCore
import ShardModel
import Testing
import TransferCore

/// How fast a real source is read, by what its commits take.
@Suite(.serialized, .reshardServers) struct SourceLoadTests {
    private func brought(_ edit: (inout PostgresServerWork.Settings) -> Void) async throws -> ReshardKit {
        var settings = PostgresServerWork.Settings.patient
        settings.copyLoad.bytesPerSecondMax = 1_000_000
        settings.copyLoad.bytesPerSecondMin = 400_000
        edit(&settings)
        var kit = try await ReshardKit.make(settings: settings)
        for (effect, step) in [(JobEffect.check, JobStep.checking), (.prepare, .preparing)] { try #require(await kit.run(effect, as: step) == .done) }
        return kit
    }

    /// What was shown of the source while the copy ran, and the outcome of the copy.
    private func copy(_ kit: inout ReshardKit) async throws -> (loads: [JobProgress.Load], outcome: JobOutcome) {
        await kit.enter(.copying)
        let begun = kit
        let copy = Task { await begun.work.run(.copy, EffectID(begun.record.version), of: begun.record, in: begun.catalog) }
        let watch = Task {
            var seen: [JobProgress.Load] = []
            while !Task.isCancelled {
                if let load = await begun.work.progress(of: begun.record.id)?.loads.first, load != seen.last { seen.append(load) }
                try? await Task.sleep(for: .milliseconds(20))
            }
            return seen
        }
        let outcome = await copy.value
        watch.cancel()
        return (await watch.value, outcome)
    }

    /// Every commit is slower than a hundredth of what it took before: the copy goes on at the least rate, and comes to its end.
    @Test func aSourceThatSuffersIsReadAsSlowlyAsItMayBe() async throws {
        var kit = try await brought { settings in
            settings.copyLoad.slowdownPercentMax = 1
            settings.copyLoad.quick = .zero
        }
        let writer = Writer(kit)
        let (loads, outcome) = try await copy(&kit)
        #expect(outcome == .done)
        #expect(try await writer.stop() > 0)
        #expect(loads.allSatisfy { $0.from == ReshardKit.source && $0.commitBefore != nil })
        #expect(loads.contains { $0.bytesPerSecondMax == 400_000 && $0.commit != nil }, "\(loads)")
        #expect(loads.allSatisfy { $0.commit != nil || $0.bytesPerSecondMax == 1_000_000 }, "\(loads)")
        #expect(loads.allSatisfy { ($0.bytesPerSecondMax ?? 0) >= 400_000 })
        #expect(await kit.run(.catchUp(pause: .zero), as: .streaming) == .done)
        #expect(await kit.run(.verify, as: .verifying) == .done)
        await kit.work.stopAll()
    }

    @Test func oneThatDoesNotIsReadAsFastAsTheSettingsSay() async throws {
        var kit = try await brought { $0.copyLoad.slowdownPercentMax = 100_000_000 }
        let (loads, outcome) = try await copy(&kit)
        #expect(outcome == .done)
        #expect(!loads.isEmpty && loads.allSatisfy { $0.bytesPerSecondMax == 1_000_000 }, "\(loads)")
        await kit.work.stopAll()
    }
}
