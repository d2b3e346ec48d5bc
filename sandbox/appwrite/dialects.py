"""What differs between the two imitated server versions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """One server version. The defaults are those of 1.9.6; each flag is one observed difference."""

    version: str
    ids_in_messages: bool = True
    html_for_unknown_routes: bool = True
    text_sequence: bool = True
    inline_columns: bool = True
    reports_bytes: bool = True
    names_missing_project: bool = True
    # 500 instead of a 400: PHP's type check stops it before the validator.
    crashes_on_null_row_id: bool = True
    # 1.8 reads rows back from a JSON cache, where 3.0 has become 3.
    keeps_whole_floats: bool = True
    # 1.9 reports a unique index over duplicates as available though there is none; 1.8 reports it as failed.
    hides_failed_index: bool = True
    # 1.8 compares the base with a cached row before it locks, so two racing writers may both pass.
    compares_under_lock: bool = True
    # In 1.8 webhooks belong to the console, which no key opens.
    keys_manage_webhooks: bool = True


DIALECTS = {
    "1.9.6": Dialect("1.9.6"),
    "1.8.1": Dialect(
        "1.8.1",
        ids_in_messages=False,
        html_for_unknown_routes=False,
        text_sequence=False,
        inline_columns=False,
        reports_bytes=False,
        names_missing_project=False,
        crashes_on_null_row_id=False,
        keeps_whole_floats=False,
        hides_failed_index=False,
        compares_under_lock=False,
        keys_manage_webhooks=False,
    ),
}
