/// The folders under `Sources/`, from the one that knows nothing of the others to the one that knows all.
enum Layer: Int, CaseIterable {
    case vocabulary, decisions, adapters, services, executable

    var folder: String {
        switch self {
        case .vocabulary: "Sources/Vocabulary/"
        case .decisions: "Sources/Decisions/"
        case .adapters: "Sources/Adapters/"
        case .services: "Sources/Services/"
        case .executable: "Sources/pgmosaic"
        }
    }

    /// nil for what is not below `Sources/`.
    init?(path: String) {
        guard let layer = Self.allCases.first(where: { path.hasPrefix($0.folder) }) else { return nil }
        self = layer
    }
}
