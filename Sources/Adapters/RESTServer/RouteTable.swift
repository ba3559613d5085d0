internal import ControlAPI
internal import Foundation

/// Finds the route of a path: first among the paths without parameters, then by segments.
struct RouteTable<Handler: Sendable>: Sendable {
    struct Entry: Sendable {
        let route: APIRoute
        let handler: Handler
    }
    struct Match: Sendable {
        var entries: [String: Entry]
        var parameters: [String: String]
    }

    private var literal: [String: [String: Entry]] = [:]
    private var templates: [(segments: [Substring], entries: [String: Entry])] = []

    init(_ entries: [Entry]) {
        for (path, group) in Dictionary(grouping: entries, by: \.route.path) {
            let byMethod = Dictionary(uniqueKeysWithValues: group.map { ($0.route.method.rawValue, $0) })
            if path.contains("{") {
                templates.append((path.split(separator: "/"), byMethod))
            } else {
                literal[path] = byMethod
            }
        }
    }

    /// nil: no such path. The entries are by method.
    func match(_ path: String) -> Match? {
        if let entries = literal[path] { return Match(entries: entries, parameters: [:]) }
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        for template in templates {
            guard let parameters = Self.parameters(of: template.segments, in: Array(segments)) else { continue }
            return Match(entries: template.entries, parameters: parameters)
        }
        return nil
    }

    private static func parameters(of template: [Substring], in segments: [Substring]) -> [String: String]? {
        guard template.count == segments.count else { return nil }
        var parameters: [String: String] = [:]
        for (expected, segment) in zip(template, segments) {
            if expected.hasPrefix("{") {
                guard let value = segment.removingPercentEncoding, !value.isEmpty else { return nil }
                parameters[String(expected.dropFirst().dropLast())] = value
            } else if expected != segment {
                return nil
            }
        }
        return parameters
    }
}
