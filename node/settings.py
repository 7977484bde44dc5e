"""Typed settings: one frozen class per table of the files in the configuration folder."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from node.conditions import compile_condition, compile_preference

AE_TITLE_HELP = "1 to 16 printable characters, no backslash, not only blanks"
MAPPED_BITS = 96
"""Of an IPv6 address that stands for one of IPv4: what comes before it."""
NAME = re.compile("[a-z0-9][a-z0-9-]{0,40}")


def _ae_title(text: str) -> str:
    title = text.strip()
    if not 1 <= len(title) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
        raise ValueError(f"{text!r} is not an AE title ({AE_TITLE_HELP})")
    return title


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name: write 1 to 41 small letters, digits and hyphens, the first no hyphen")
    return text


def _network(given: object) -> object:
    """One of IPv4 that is written within IPv6, as some lists show it, is one of IPv4."""
    try:
        found = ip_network(given) if isinstance(given, str) else given
    except ValueError as error:
        words = "is no address and no network, such as 192.0.2.10 or 192.0.2.0/24"
        raise ValueError(f"{given!r} {words} ({error})") from error
    if isinstance(found, IPv6Network) and found.network_address.ipv4_mapped and found.prefixlen >= MAPPED_BITS:
        return IPv4Network((found.network_address.ipv4_mapped, found.prefixlen - MAPPED_BITS))
    return found


def _database_url(url: str) -> str:
    """Never told again in the error: it may hold a password."""
    kind, _, rest = url.partition("://")
    port = rest.rpartition("@")[2].partition("/")[0].partition("?")[0].rpartition("]")[2].partition(":")[2]
    if url and (kind.partition("+")[0] not in ("postgresql", "sqlite") or (port and not port.isdecimal())):
        raise ValueError("is no URL of a database: write it as postgresql://user@host:5432/isocenter, or leave it out")
    return url


AETitle = Annotated[str, AfterValidator(_ae_title)]
Name = Annotated[str, AfterValidator(_name)]
NameOrNone = Annotated[str, AfterValidator(lambda text: text and _name(text))]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=365 * 86_400)]
Days = Annotated[float, Field(gt=0, le=365_000)]
"""Both are counted from now, or back from now: there must be a date at their end."""
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Priority = Literal["stat", "urgent", "routine"]
Rendition = Literal["seg", "sr", "text", "summary", "pdf", "ko", "rtstruct", "gsps", "map", "derived"]
Syntax = Literal["explicit", "implicit", "deflated"]
RENDITIONS: tuple[Rendition, ...] = ("seg", "sr", "text", "summary", "gsps", "map", "derived")


class Table(BaseModel):
    """A table of a configuration file: immutable, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class NodeTable(Table):
    """[node]: who we are, and how many processes work."""

    ae_titles: Annotated[tuple[AETitle, ...], Field(min_length=1)] = ("ISOCENTER",)
    bind: str = "0.0.0.0"  # noqa: S104  a DICOM node exists to be reached by other hosts
    port: Port = 11112
    receivers: Annotated[int, Field(ge=1, le=16)] = 2
    cpu_workers: Annotated[int, Field(ge=1, le=64)] = 1
    model_workers: Annotated[int, Field(ge=1, le=16)] = 1
    model_device: Literal["auto", "cpu"] = "auto"


class IntakeTable(Table):
    """[intake]: what is taken, from whom, and how much room must be left."""

    disk_reserve_mb: Annotated[int, Field(ge=0)] = 2048
    refuse_associations_mb: Annotated[int, Field(ge=0)] = 4096
    max_instance_mb: Annotated[int, Field(ge=1)] = 4096
    unknown_callers: Literal["reject", "accept"] = "reject"
    stow: bool = False
    associations: Annotated[int, Field(ge=1, le=1000)] = 200
    associations_per_address: Annotated[int, Field(ge=1, le=1000)] = 100

    @model_validator(mode="after")
    def _marks_in_order(self) -> "IntakeTable":
        if self.refuse_associations_mb < self.disk_reserve_mb:
            raise ValueError("refuse_associations_mb must be at least disk_reserve_mb: it is the earlier mark")
        return self


class TlsTable(Table):
    """[tls]: the node's certificate; without one, associations are not encrypted."""

    certificate: str = ""
    key: str = ""
    authorities: str = ""
    required: bool = False
    warn_days: Annotated[int, Field(ge=0)] = 30

    @model_validator(mode="after")
    def _all_or_none(self) -> "TlsTable":
        given = [bool(one) for one in (self.certificate, self.key, self.authorities)]
        if any(given) != all(given) or (self.required and not all(given)):
            raise ValueError("TLS needs certificate, key and authorities: set all three, or none")
        return self

    @property
    def is_set(self) -> bool:
        """Whether there is a certificate at all."""
        return bool(self.certificate)


class GatheringTable(Table):
    """[gathering]: when a study counts as complete; a peer's own values win."""

    quiet_s: Seconds = 10
    cap_s: Seconds = 900
    absolute_cap_s: Seconds = 14400
    exclude_patients: tuple[str, ...] = ()


class StateTable(Table):
    """[state]: where files and facts are kept."""

    home: Path = Path("var")
    database_url: Annotated[str, AfterValidator(_database_url)] = ""

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the ledger: an SQLite file in the home unless another is set."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'ledger.sqlite'}"


class JobsTable(Table):
    """[jobs]: how often a stage is tried before a person must look."""

    crash_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    error_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    poll_s: Annotated[float, Field(ge=0.05, le=10)] = 1.0
    dead_after_s: Annotated[float, Field(ge=1, le=3600)] = 60
    decode_memory_mb: Annotated[int, Field(ge=64)] = 4096


class SendingTable(Table):
    """[sending]: how long an unreachable destination is tried."""

    give_up_days: Days = 7
    backoff_first_s: Seconds = 30
    backoff_max_s: Seconds = 3600


class RetentionTable(Table):
    """[retention]: how long files and facts are kept after they are done with."""

    study_days: Days = 7
    result_days: Days = 90
    ledger_days: Days = 730


class AdminTable(Table):
    """[admin]: the operator's window."""

    bind: str = "127.0.0.1"
    port: Port = 8080
    viewer_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""


class LogTable(Table):
    """[log]: how much is told."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class NodeSettings(Table):
    """node.toml."""

    node: NodeTable = NodeTable()
    intake: IntakeTable = IntakeTable()
    tls: TlsTable = TlsTable()
    gathering: GatheringTable = GatheringTable()
    state: StateTable = StateTable()
    jobs: JobsTable = JobsTable()
    sending: SendingTable = SendingTable()
    retention: RetentionTable = RetentionTable()
    admin: AdminTable = AdminTable()
    log: LogTable = LogTable()


SCANNER_QUIET_S = 120.0
"""Scanners reconstruct and send series by series, with pauses far longer than a PACS makes (design section 1)."""


def _check_url(url: str, *, has_secret: bool) -> None:
    """Raises ValueError where it cannot be a DICOMweb server's, or would give a secret away."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or not url.isascii():
        raise ValueError(f"{url!r} is not the URL of a DICOMweb server, such as https://pacs.example/dicom-web")
    if parts.username or parts.password:
        raise ValueError("a url names no user or password: set web_user, and web_secret_file or web_secret_env")
    if has_secret and parts.scheme == "http" and host not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("over http the secret could be read by others: use https")


class Peer(Table):
    """[[peer]] of peers.toml: an AE we know."""

    name: Name
    ae_title: AETitle
    address: str = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    tls: bool = False
    url: str = ""
    web_authorities: str = ""
    web_user: str = ""
    web_secret_file: str = ""
    web_secret_env: str = ""
    kind: Literal["pacs", "scanner", "workstation"] = "pacs"
    roles: tuple[Literal["source", "destination"], ...] = ("source", "destination")
    addresses: tuple[Network, ...] = ()
    quiet_s: Seconds | None = None
    cap_s: Seconds | None = None
    renditions: tuple[Rendition, ...] = RENDITIONS
    sr: Literal["comprehensive", "comprehensive3d"] = "comprehensive"
    coordinates: Literal["image", "patient"] = "image"
    segmentation: Literal["binary", "labelmap", "auto"] = "binary"
    series_base: Annotated[int, Field(ge=1, le=2_000_000_000)] = 9001
    label: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ]{0,15}$")] = "AI"
    largest_seg_mb: Annotated[float, Field(gt=0)] | None = None
    syntaxes: tuple[Syntax, ...] = ("explicit", "implicit")
    negatives: bool = True
    failures: bool = False
    rejections: bool = False
    proof: Literal["none", "find", "qido", "commitment"] = "none"
    commitment: bool = False
    archive: NameOrNone = ""
    query: bool = False
    study_days: Days | None = None
    on_conflict: Literal["keep", "refuse"] = "keep"
    certificate: tuple[str, ...] = ()
    user: str = ""
    passcode_file: str = ""
    token_file: str = ""

    @model_validator(mode="after")
    def _reachable(self) -> "Peer":
        if "destination" in self.roles and not (self.address and self.port) and not self.url:
            raise ValueError('a destination needs address and port, or a url (or set roles = ["source"])')
        return self

    @model_validator(mode="after")
    def _web(self) -> "Peer":
        keys = ("web_authorities", "web_user", "web_secret_file", "web_secret_env")
        given = [key for key in keys if getattr(self, key)]
        if not self.url and given:
            raise ValueError(f"{given[0]} is of a DICOMweb server: set its url, or leave {given[0]} out")
        if self.url:
            _check_url(self.url, has_secret=bool(self.web_secret_file or self.web_secret_env))
        if self.web_secret_file and self.web_secret_env:
            raise ValueError("web_secret_file and web_secret_env are both set: which is it?")
        if self.web_user and not (self.web_secret_file or self.web_secret_env):
            raise ValueError("web_user needs its password in web_secret_file or web_secret_env")
        if self.segmentation == "auto" and self.url:
            raise ValueError('STOW-RS has no negotiation: use segmentation = "binary" or "labelmap" instead of "auto"')
        if self.proof == "qido" and not self.url:
            raise ValueError('proof "qido" asks a DICOMweb server: set its url, or use proof = "find"')
        if self.proof not in ("none", "qido") and self.url:
            raise ValueError(f'a peer with a url is asked by QIDO-RS: use proof = "qido" instead of "{self.proof}"')
        return self

    @model_validator(mode="after")
    def _spoken(self) -> "Peer":
        if not {"explicit", "implicit"} & set(self.syntaxes):
            raise ValueError('syntaxes needs "explicit" or "implicit": only segmentations are sent deflated')
        if self.url and "explicit" not in self.syntaxes:
            raise ValueError('by STOW-RS results go as they were written: syntaxes needs "explicit"')
        return self

    @model_validator(mode="after")
    def _three_dimensional(self) -> "Peer":
        if self.coordinates == "patient" and self.sr != "comprehensive3d":
            raise ValueError('coordinates = "patient" needs sr = "comprehensive3d": no other report holds them')
        return self

    @model_validator(mode="after")
    def _commits(self) -> "Peer":
        if self.commitment and not (self.archive and self.address and self.port):
            raise ValueError(
                "a peer that may ask for storage commitment needs address and port, where it is told, and the archive "
                "that must hold its instances before they are removed here: set all three"
            )
        return self

    def quiet_time_s(self, default_s: float) -> float:
        """Quiet time for studies from this peer."""
        if self.quiet_s is not None:
            return self.quiet_s
        return SCANNER_QUIET_S if self.kind == "scanner" else default_s


def _condition(*, of_stack: bool) -> AfterValidator:
    """Checked by itself, so that a fault is told with its own line."""

    def check(text: str) -> str:
        compile_condition(text, of_stack=of_stack)
        return text

    return AfterValidator(check)


def _preference(text: str) -> str:
    compile_preference(text)
    return text


class RouteInput(Table):
    """[route.input.NAME]: which stack one input of the model gets."""

    where: Annotated[str, _condition(of_stack=True)] = ""
    prefer: tuple[Annotated[str, AfterValidator(_preference)], ...] = ()
    min_quality: dict[Literal["noise", "motion", "artefact", "coverage"], Annotated[float, Field(ge=0, le=1)]] = {}


class Route(Table):
    """[[route]] of routes.toml: whose studies go to which model, and where the results go."""

    name: Name
    enabled: bool = True
    sources: Annotated[tuple[Name, ...], Field(alias="from")] = ()
    to_ae: tuple[AETitle, ...] = ()
    when: Annotated[str, _condition(of_stack=False)] = ""
    model: Name
    destinations: Annotated[tuple[Name, ...], Field(min_length=1)]
    priority: Priority = "routine"
    input: dict[str, RouteInput] = {}


class Peers(Table):
    """peers.toml."""

    peer: tuple[Peer, ...] = ()


class Routes(Table):
    """routes.toml."""

    route: tuple[Route, ...] = ()


class Configuration(Table):
    """Everything configured: one value that each process gets at its start."""

    settings: NodeSettings = NodeSettings()
    models: Path = Path("config/models")
    """Folder with this site's models, one folder each: `models` in the configuration folder."""
    peers: tuple[Peer, ...] = ()
    routes: tuple[Route, ...] = ()

    def peer(self, name: str) -> Peer | None:
        """The peer of that name, or None."""
        return next((peer for peer in self.peers if peer.name == name), None)
