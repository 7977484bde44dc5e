"""A slip in the configuration is told with file, line and what was meant."""

from pathlib import Path

import pytest

from node.configuration import read_configuration
from node.errors import ConfigurationInvalid
from node.settings import SCANNER_QUIET_S

PEER = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "h"\nport = 104\n'
ROUTE = '[[route]]\nname = "r"\nmodel = "lung-ct"\ndestinations = ["pacs"]\n'


def faults(folder: Path, environment: dict[str, str] | None = None, **files: str) -> list[str]:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    with pytest.raises(ConfigurationInvalid) as told:
        read_configuration(folder, environment or {})
    return str(told.value).splitlines()


def test_an_empty_folder_means_the_defaults(tmp_path: Path) -> None:
    found = read_configuration(tmp_path, {})

    assert found.settings.node.port == 11112
    assert found.settings.intake.unknown_callers == "reject"


def test_a_misspelt_key_names_file_line_and_what_was_meant(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, node="[node]\nport = 104\n\n[gathering]\nquite_s = 3\n")

    assert line == f"{tmp_path / 'node.toml'}, line 5: unknown key gathering.quite_s; did you mean quiet_s?"


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    assert len(faults(tmp_path, node="[node]\nport = 0\n[gathering]\nquiet_s = -1\n")) == 2


@pytest.mark.parametrize("given", ["inf", "1e300", "100000000.0"])
@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("gathering", "quiet_s"),
        ("gathering", "absolute_cap_s"),
        ("sending", "give_up_days"),
        ("sending", "backoff_max_s"),
        ("retention", "study_days"),
        ("retention", "ledger_days"),
    ],
)
def test_a_time_at_whose_end_there_is_no_date_is_refused(tmp_path: Path, table: str, key: str, given: str) -> None:
    """The process that counts by it would fall over it, at every start anew."""
    (line,) = faults(tmp_path, node=f"[{table}]\n{key} = {given}\n")

    assert f"line 2: {table}.{key}" in line


@pytest.mark.parametrize("key", ["quiet_s", "cap_s", "study_days"])
def test_a_peers_own_times_are_bounded_too(tmp_path: Path, key: str) -> None:
    (line,) = faults(tmp_path, peers=f"{PEER}{key} = 1e300\n")

    assert f"line 6: peer.{key}" in line


@pytest.mark.parametrize("given", ["ct1", "10.0.0.0/33", "10.0.0.1/24", "fe80::/129", ""])
def test_an_address_that_is_none_is_told_in_one_line(tmp_path: Path, given: str) -> None:
    (line,) = faults(tmp_path, peers=f'{PEER}addresses = ["192.0.2.1", "{given}"]\n')

    assert f"line 6: peer.addresses: '{given}' is no address and no network, such as 192.0.2.10 or 192.0.2.0/24" in line


@pytest.mark.parametrize(
    ("given", "network"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("fd00::/8", "fd00::/8"),
        ("::/0", "::/0"),
    ],
)
def test_an_address_is_the_same_in_either_form(tmp_path: Path, given: str, network: str) -> None:
    """A socket that is open for IPv6 and IPv4 shows the latter within the former, and so do lists of callers."""
    (tmp_path / "peers.toml").write_text(f'{PEER}addresses = ["{given}"]\n')

    assert [str(one) for one in read_configuration(tmp_path, {}).peers[0].addresses] == [network]


@pytest.mark.parametrize(
    "url", ["postgres://u:geheim@h/d", "mysql://u:geheim@h/d", "geheim", "postgresql://u:geheim@h:port/d"]
)
def test_a_database_that_is_none_is_told_without_its_password(tmp_path: Path, url: str) -> None:
    (line,) = faults(tmp_path, node=f'[state]\ndatabase_url = "{url}"\n')

    assert "line 2: state.database_url: is no URL of a database: write it as postgresql://" in line
    assert "geheim" not in line


@pytest.mark.parametrize(
    "url",
    [
        "",
        "postgresql://isocenter@db.example:5432/isocenter",
        "postgresql+psycopg://isocenter@/isocenter?host=/run/postgresql",
        "postgresql://u:p%40:ss@[::1]:5432/d?x=1",
        "sqlite:////var/lib/isocenter/ledger.sqlite",
    ],
)
def test_a_database_is_named_by_its_url(tmp_path: Path, url: str) -> None:
    (tmp_path / "node.toml").write_text(f'[state]\ndatabase_url = "{url}"\n')

    assert read_configuration(tmp_path, {}).settings.state.database_url == url


def test_the_line_is_that_of_the_right_peer(tmp_path: Path) -> None:
    text = PEER + '\n[[peer]]\nname = "ct"\nae_title = "A TITLE THAT IS TOO LONG"\nroles = ["source"]\n'
    (line,) = faults(tmp_path, peers=text)

    assert "line 9: peer.ae_title" in line


def test_a_destination_without_an_address_is_told(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, peers='[[peer]]\nname = "pacs"\nae_title = "PACS"\n')

    assert "a destination needs address and port" in line


def test_a_condition_is_checked_when_it_is_read(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, peers=PEER, routes=ROUTE + "when = \"study.modality == 'CT'\"\n")

    assert "there is no study.modality; did you mean study.modalities?" in line


CONDITIONS = """priority = "stat"
when = '''
study.modalities == ['CT'] &&
study.age > 3
'''

[route.input.ct]
where = "stack.modality == 'CT'"

[route.input.pt]
prefer = ["stack.rows", "stack.sharpness"]
where = "stack.modality = 'PT'"
"""


def test_a_misread_condition_names_its_own_line(tmp_path: Path) -> None:
    """Not that of its route, nor of another input's."""
    routes = ROUTE.replace('"r"', '"q"') + "\n" + ROUTE + CONDITIONS
    before = (ROUTE + "\n" + ROUTE).count("\n")

    when, where, prefer = faults(tmp_path, peers=PEER, routes=routes)

    assert f"routes.toml, line {before + 2}: route.when: condition" in when
    assert f"routes.toml, line {before + 11}: route.input.pt.prefer: condition 'stack.sharpness'" in prefer
    assert f"routes.toml, line {before + 12}: route.input.pt.where: condition" in where


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("input.pt.where = '+'\n", 1),
        ("priority = 'stat'\ninput = { ct = { prefer = [] }, pt = { where = '+' } }\n", 2),
        ("[route.input]\nct.where = 'true'\npt.where = '+'\n", 3),
        ('[route."input".ct]\nwhere = "true"\n[route.input."pt"]\nwhere = "+"\n', 4),
    ],
)
def test_its_line_is_found_however_tables_are_written(tmp_path: Path, text: str, line: int) -> None:
    (fault,) = faults(tmp_path, peers=PEER, routes=ROUTE + text)

    assert f"routes.toml, line {ROUTE.count(chr(10)) + line}: route.input.pt.where: " in fault


def test_a_route_to_an_unknown_peer_is_told(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, peers=PEER, routes=ROUTE.replace('["pacs"]', '["pcas"]'))

    assert line == "routes.toml: route 'r' names peer 'pcas', which is unknown; did you mean pacs?"


def test_two_peers_of_one_name_are_told(tmp_path: Path) -> None:
    assert faults(tmp_path, peers=PEER + PEER) == ["peers.toml: peer 'pacs' is there twice; rename one"]


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[node]\nport = 104\n")
    environment = {
        "ISOCENTER__NODE__PORT": "11113",
        "ISOCENTER__NODE__AE_TITLES": '["A", "B"]',
        "ISOCENTER__LOG__LEVEL": "debug",
        "ISOCENTER_HOME": "/srv/isocenter",
    }
    found = read_configuration(tmp_path, environment).settings

    assert (found.node.port, found.node.ae_titles, found.log.level) == (11113, ("A", "B"), "debug")
    assert found.state.home == Path("/srv/isocenter")


def test_a_slip_in_the_environment_is_told_too(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, {"ISOCENTER__NODE__PROT": "1"})

    assert "unknown key node.prot; did you mean port?" in line


def test_a_scanner_waits_longer_unless_told_otherwise(tmp_path: Path) -> None:
    kinds = PEER + 'kind = "scanner"\n\n' + PEER.replace('"pacs"', '"fast"') + 'kind = "scanner"\nquiet_s = 5\n'
    (tmp_path / "peers.toml").write_text(kinds)
    scanner, fast = read_configuration(tmp_path, {}).peers

    assert (scanner.quiet_time_s(10), fast.quiet_time_s(10)) == (SCANNER_QUIET_S, 5)


@pytest.mark.parametrize("text", ["\ufeff" + PEER, PEER.replace("\n", "\r\n"), "\ufeff" + PEER.replace("\n", "\r\n")])
def test_a_file_may_be_written_as_windows_writes_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "peers.toml").write_bytes(text.encode())

    assert [one.name for one in read_configuration(tmp_path, {}).peers] == ["pacs"]


@pytest.mark.parametrize(("encoding", "line"), [("latin-1", 6), ("utf-16", 1)])
def test_another_encoding_is_told_with_what_to_do(tmp_path: Path, encoding: str, line: int) -> None:
    (tmp_path / "peers.toml").write_bytes(f"{PEER}# Köln".encode(encoding))

    with pytest.raises(ConfigurationInvalid, match=f"peers.toml, line {line}: is not UTF-8: save the file in that enc"):
        read_configuration(tmp_path, {})


@pytest.mark.parametrize("key", ["destinations", "from"])
def test_a_text_in_the_place_of_a_list_is_told(tmp_path: Path, key: str) -> None:
    text = ROUTE.replace('["pacs"]', '"pacs"') if key == "destinations" else f'{ROUTE}from = "pacs"\n'
    (line,) = faults(tmp_path, peers=PEER, routes=text)

    assert line.endswith(f'route.{key}: is a list: write it in brackets, as ["…"]')


def test_a_table_in_single_brackets_is_told(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, peers=PEER.replace("[[peer]]", "[peer]"))

    assert line.endswith("line 1: peer: write each as a table of its own, under [[peer]]")


@pytest.mark.parametrize("key", ["name", "archive"])
def test_a_name_in_capitals_is_told_with_what_a_name_is(tmp_path: Path, key: str) -> None:
    text = PEER.replace('"pacs"', '"PACS"') if key == "name" else f'{PEER}archive = "PACS"\n'
    (line,) = faults(tmp_path, peers=text)

    assert f"peer.{key}: 'PACS' is no name: write 1 to 41 small letters, digits and hyphens" in line


@pytest.mark.parametrize(
    ("variable", "text", "key"),
    [
        ("ISOCENTER__NODE__PORT", "dicom", "node.port"),
        ("ISOCENTER__NODE__PROT", "104", "unknown key node.prot; did you mean port?"),
        ("ISOCENTER__NODES__PORT", "104", "unknown key nodes; did you mean node?"),
        ("ISOCENTER_DATABASE_URL", "mysql://u:geheim@h/d", "state.database_url"),
    ],
)
def test_a_fault_of_the_environment_names_the_variable(tmp_path: Path, variable: str, text: str, key: str) -> None:
    """No line of the file is to be blamed for it."""
    (line,) = faults(tmp_path, {variable: text}, node="[node]\nbind = '127.0.0.1'\n[state]\n")

    assert line.startswith(f"{variable}: {key}")
    assert "geheim" not in line
