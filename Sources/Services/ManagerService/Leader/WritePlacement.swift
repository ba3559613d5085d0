internal import ControlAPI
internal import Foundation
internal import HTTPTypes
package import RESTServer
package import ServerConfig
package import Telemetry

/// Where a write is carried out: by this manager while it leads, else by the one that does.
///
/// A request that is passed on always has an `Idempotency-Key`, the caller's or one drawn for it: the answer is kept in the catalog with the change, so
/// the request may be sent again, to the same leader or to the next one, when its answer was lost. The leader never passes on what was passed on to it.
package struct WritePlacement: Sendable {
    /// Writes that change nothing in the catalog: any manager does them.
    static let anywhere: Set<String> = ["POST /api/v1/auth/login", "PATCH /api/v1/log-levels"]
    private static let pause = Duration.milliseconds(100)

    private let election: LeaderElection
    private let client: LeaderClient
    private let settings: LeaderSettings
    private let metrics: SharedMetrics

    package init(_ election: LeaderElection, _ client: LeaderClient, _ settings: LeaderSettings, metrics: SharedMetrics) {
        self.election = election
        self.client = client
        self.settings = settings
        self.metrics = metrics
    }

    package func answer(
        _ request: RESTRequest, _ uri: String, _ here: @Sendable (RESTRequest) async throws -> RESTAnswer
    ) async throws -> RESTAnswer {
        if Self.anywhere.contains(request.route.id) { return try await here(request) }
        let isForwarded = HTTPField.Name(LeaderClient.forwardedName).map { request.headers[$0] != nil } ?? false
        if isForwarded {
            guard case .leader = election.role else { throw Self.notLeader }
            return try await here(request)
        }
        _ = try request.repetition
        let key = request.idempotencyKey ?? "forwarded-\(UUID().uuidString.lowercased())"
        let deadline = ContinuousClock.now + settings.wait
        var lastFailure: LeaderClient.Failure?
        /// What may keep this manager from the leader for longer than a change of leaders.
        var hint: String?
        while true {
            let changes = election.changes
            switch await election.currentRole() {
            case .leader:
                // What was sent to a leader before is looked up here by the same key.
                let known = lastFailure == nil ? request : request.with(idempotencyKey: key)
                if let answer = try await carriedOut(known, afterLoss: lastFailure, here) { return answer }
            case .follower(let leader?) where settings.forward == .redirect:
                return try redirect(to: leader, uri)
            case .follower(let leader?):
                let outcome = await attempt(request, uri, key, leader, changes)
                switch outcome {
                case .success(let answer):
                    hint = Self.code(of: answer) == .notLeader ? Self.hint(stranger: leader) : nil
                    guard Self.isToBeRepeated(answer, afterLoss: lastFailure) else {
                        count("answered")
                        return answer
                    }
                    if Self.code(of: answer) == .catalogUnknownOutcome { lastFailure = .unknown("its catalog store did not answer") }
                    count("again")
                case .failure(let failure):
                    hint = nil
                    // Once it may have been carried out, no later refusal says that it was not.
                    if case .unknown? = lastFailure {} else { lastFailure = failure }
                    count("again")
                }
            case .follower(nil): hint = election.misaddressed.map { Self.hint(own: $0) }
            }
            guard deadline > .now else { throw gaveUp(lastFailure, hint) }
            try Task.checkCancellation()
            await election.change(after: changes, until: min(deadline, .now + Self.pause))
        }
    }

    /// nil: it did nothing, because this manager ceased to lead; or nothing yet, since the attempt that was given up when this manager began to lead
    /// had come here, and is still at it.
    private func carriedOut(
        _ request: RESTRequest, afterLoss failure: LeaderClient.Failure?, _ here: @Sendable (RESTRequest) async throws -> RESTAnswer
    ) async throws -> RESTAnswer? {
        func isToBeRepeated(_ code: APIErrorCode?) -> Bool { code == .notLeader || code == .requestInProgress && Self.isUnknown(failure) }
        do {
            let answer = try await here(request)
            return isToBeRepeated(Self.code(of: answer)) ? nil : answer
        } catch let error as APIError where isToBeRepeated(error.code) {
            return nil
        }
    }

    /// Given up when another leads: a leader that was stopped keeps its connections, and would be waited for.
    private func attempt(
        _ request: RESTRequest, _ uri: String, _ key: String, _ leader: LeaderRecord, _ changes: UInt64
    ) async -> Result<RESTAnswer, LeaderClient.Failure> {
        await withTaskGroup(of: Result<RESTAnswer, LeaderClient.Failure>?.self) { group in
            group.addTask { [client] in
                do throws(LeaderClient.Failure) {
                    return .success(try await client.send(request, uri: uri, idempotencyKey: key, to: leader))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask { [election] in
                var changes = changes
                while !Task.isCancelled {
                    await election.change(after: changes, until: .now + .seconds(1))
                    changes = election.changes
                    if case .follower(let now) = await election.currentRole(), now == nil || now == leader { continue }
                    return nil
                }
                return nil
            }
            defer { group.cancelAll() }
            // The watcher's end, too, ends the attempt; its result then says that nothing is known.
            for await result in group {
                if let result { return result }
                group.cancelAll()
            }
            return .failure(.unknown("another manager leads by now"))
        }
    }

    /// Answers that say that the leader has done nothing, or not yet.
    private static func isToBeRepeated(_ answer: RESTAnswer, afterLoss failure: LeaderClient.Failure?) -> Bool {
        switch code(of: answer) {
        case .notLeader, .catalogUnknownOutcome: true
        // The first attempt, whose answer was lost, is still at it.
        case .requestInProgress: isUnknown(failure)
        default: false
        }
    }

    private static func isUnknown(_ failure: LeaderClient.Failure?) -> Bool { if case .unknown? = failure { true } else { false } }

    private static func code(of answer: RESTAnswer) -> APIErrorCode? {
        guard answer.status == 503 || answer.status == 409, let body = try? JSONParser.parse(answer.body) else { return nil }
        return APIError(body: body)?.code
    }

    private func redirect(to leader: LeaderRecord, _ uri: String) throws -> RESTAnswer {
        guard let location = HTTPField.Name("Location") else { throw Self.notLeader }
        count("redirected")
        return RESTAnswer(status: 307, headers: [HTTPField(name: location, value: leader.url + uri)])
    }

    private static let notLeader = APIError(.notLeader, "this manager does not lead; nothing was changed")

    private static func hint(own leader: LeaderRecord) -> String {
        "\(leader.id) leads, and says that it is at \(leader.url), which is this manager's own address: each manager needs a leader.url where the others reach it, and an id of its own"
    }
    private static func hint(stranger leader: LeaderRecord) -> String {
        "\(leader.id) leads, and who answers at \(leader.url) does not: is that the leader.url of \(leader.id), as seen from here?"
    }

    private func gaveUp(_ failure: LeaderClient.Failure?, _ hint: String?) -> APIError {
        var reason = hint
        switch failure {
        case .unknown: return unknown(failure)
        case .notSent(let text): reason = hint ?? text
        case nil: break
        }
        count("no_leader")
        guard let reason else { return APIError(.noLeader, "no manager leads at the moment; nothing was changed") }
        return APIError(.noLeader, "the leading manager cannot be reached (\(reason)); nothing was changed")
    }

    private func unknown(_ failure: LeaderClient.Failure?) -> APIError {
        count("unknown")
        var reason = ""
        if case .unknown(let text)? = failure { reason = " (\(text))" }
        return APIError(
            .catalogUnknownOutcome, "the leading manager was lost while it carried out the request\(reason); the change may have happened")
    }

    private func count(_ outcome: String) { metrics.count(MetricCatalogue.forwardedRequests, [outcome]) }
}
