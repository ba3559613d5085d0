import ArgumentParser
import Foundation
import Secrets

/// The password of the endpoints of one command, from elsewhere than the command line.
struct EndpointPassword: ParsableArguments {
    @Option(
        help: ArgumentHelp("File whose first line is the password of the endpoints that name none.", valueName: "file"))
    var passwordFile: String?
    @Flag(help: "Read that password from standard input.") var passwordStdin = false

    var isGiven: Bool { passwordFile != nil || passwordStdin }

    func validate() throws {
        if passwordFile != nil, passwordStdin { throw ValidationError("give --password-file or --password-stdin, not both") }
    }

    /// The endpoints with the password, where one is given. Each of them takes it: a replica has its primary's roles and passwords.
    func put(into endpoints: [String], for client: APIClient) throws(ClientError) -> [String] {
        guard isGiven else { return endpoints }
        try SavedToken.checkMayGo(to: client.baseURL)
        let password = try PasswordSource.read(file: passwordFile)
        var isUsed = false
        var result: [String] = []
        for endpoint in endpoints {
            do throws(SecretError) {
                let whole = try EndpointSecrets.adding(password: password, to: endpoint)
                isUsed = isUsed || whole != nil
                result.append(whole ?? endpoint)
            } catch {
                throw .usage("the endpoint cannot take a password: \(error)")
            }
        }
        guard isUsed else { throw .usage("every endpoint names a password already, so there is none that the given one is for") }
        return result
    }
}
